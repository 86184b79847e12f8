"""Outputs as the probabilities or means that a loss takes them for: the inverse of its link."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.tree import accumulator_dtype


def softmax(outputs: jax.Array) -> jax.Array:
    """Probabilities of K exclusive classes, (B, K), which sum to 1."""
    return jax.nn.softmax(_wide(outputs), axis=-1)


def sigmoid(outputs: jax.Array) -> jax.Array:
    """K probabilities, (B, K), each of its own."""
    return jax.nn.sigmoid(_wide(outputs))


def exponential(outputs: jax.Array) -> jax.Array:
    """Rates, (B, K), of their logarithms."""
    return jnp.exp(_wide(outputs))


def _wide(outputs: jax.Array) -> jax.Array:
    return outputs.astype(accumulator_dtype(outputs.dtype))
