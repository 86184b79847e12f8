"""Norms, and the factors that bring them under a bound."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.norm import squared
from jaxopt_lab.core.tree import accumulator_dtype


def squared_norm(x: jax.Array) -> jax.Array:
    """The sum of |x|^2, accumulated in float32 or wider."""
    return jnp.sum(squared(x.astype(accumulator_dtype(x.dtype))))


def factor_under(norm: jax.Array, bound: jax.typing.ArrayLike) -> jax.Array:
    """`bound / norm` where the norm is above the bound, else exactly 1."""
    return jnp.asarray(bound) / jnp.maximum(norm, bound)


def scaled(x: jax.Array, factor: jax.Array) -> jax.Array:
    """`factor x`, rounded to the dtype of x once."""
    return (factor * x.astype(accumulator_dtype(x.dtype))).astype(x.dtype)
