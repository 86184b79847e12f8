"""What every schedule shares: whole steps of any size in, a float scalar out."""

from collections.abc import Callable
from numbers import Integral

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import Schedule

LAST_STEP = 2**31 - 1


def as_step(step: jax.typing.ArrayLike) -> jax.Array:
    """A count of steps as int32; a larger one is held at the largest int32."""
    if isinstance(step, Integral):
        return jnp.asarray(min(int(step), LAST_STEP), jnp.int32)
    return jnp.minimum(jnp.asarray(step), LAST_STEP).astype(jnp.int32)


def of_step(function: Callable[[jax.Array], jax.typing.ArrayLike]) -> Schedule:
    """A schedule from a function of an int32 step: float32, and float64 under x64."""

    def schedule(step):
        return jnp.asarray(function(as_step(step)), float)

    return schedule
