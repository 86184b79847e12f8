"""Nadam's momentum schedule."""

import math

import jax
import jax.numpy as jnp


def momentum_at(b1: float | jax.Array, psi: float | jax.Array, t: jax.Array) -> jax.Array:
    """mu_t, which rises from about b1 / 2 to b1 while t passes 1 / psi."""
    return b1 * (1 - 0.5 * jnp.exp(math.log(0.96) * (t * psi)))
