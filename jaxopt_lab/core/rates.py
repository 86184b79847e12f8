"""A hyperparameter that may be a number, a traced array or a schedule."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import ScalarOrSchedule


def value_at(
    hyperparameter: ScalarOrSchedule, step: jax.Array, scale: jax.typing.ArrayLike | None = None
) -> jax.Array:
    """The value at `step` (a count from 0), times `scale` where one is given.

    As wide as JAX's floats are: float32, and float64 under x64.
    """
    value = hyperparameter(step) if callable(hyperparameter) else hyperparameter
    value = jnp.asarray(value, float)
    return value if scale is None else value * jnp.asarray(scale, float)
