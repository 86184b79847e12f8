"""Bringing norms under a bound."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.norm import Norm
from jaxopt_lab.core.tree import accumulator_dtype


def under(x: jax.Array, norm: Norm, bound: jax.typing.ArrayLike) -> jax.Array:
    """`x bound / norm` where the norm is above the bound, else x, rounded to the dtype of x once.

    By two factors, because a norm beyond the largest float, or below the smallest, has a direction.
    """
    limit = jnp.asarray(bound) * norm.inverse
    holds = norm.size <= limit
    unit = jnp.where(holds, 1, norm.inverse)
    factor = jnp.where(holds, 1, jnp.asarray(bound) / jnp.where(holds, 1, norm.size))
    return scaled(unit * x.astype(accumulator_dtype(x.dtype)), factor).astype(x.dtype)


def scaled(x: jax.Array, factor: jax.Array) -> jax.Array:
    """`factor x`, rounded to the dtype of x once."""
    return (factor * x.astype(accumulator_dtype(x.dtype))).astype(x.dtype)
