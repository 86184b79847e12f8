"""A hyperparameter that may be a number, a traced array or a schedule."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import ScalarOrSchedule


def value_at(
    hyperparameter: ScalarOrSchedule, step: jax.Array, scale: jax.typing.ArrayLike | None = None
) -> jax.Array:
    """The float32 value at `step` (a count from 0), times `scale` where one is given."""
    value = hyperparameter(step) if callable(hyperparameter) else hyperparameter
    value = jnp.asarray(value, jnp.float32)
    return value if scale is None else value * jnp.asarray(scale, jnp.float32)
