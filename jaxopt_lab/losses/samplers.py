"""Labels drawn from the model's own distribution, for the Fisher.

Each is `sample_label(key, outputs) -> labels` and belongs to the loss that is its negative
logarithm, up to a constant: only with that one is the Fisher the generalized Gauss-Newton matrix.
"""

import math

import jax
import jax.numpy as jnp


def categorical(key: jax.Array, outputs: jax.Array) -> jax.Array:
    """Classes (B,) int32, drawn from the softmax of logits (B, K): `softmax_cross_entropy`."""
    return jax.random.categorical(key, outputs)


def normal(key: jax.Array, outputs: jax.Array) -> jax.Array:
    """Outputs with normal noise of variance 1/2: `squared_error`, which has no factor of 1/2."""
    return outputs + math.sqrt(0.5) * jax.random.normal(key, outputs.shape, outputs.dtype)


def bernoulli(key: jax.Array, outputs: jax.Array) -> jax.Array:
    """1 with the probability of the sigmoid of each logit, else 0: `logistic`."""
    drawn = jax.random.bernoulli(key, jax.nn.sigmoid(outputs), outputs.shape)
    return drawn.astype(outputs.dtype)


def poisson(key: jax.Array, outputs: jax.Array) -> jax.Array:
    """Counts with the rates of which the outputs are the logarithms: `poisson_nll`."""
    # In float32 at the widest, because the generator counts in int32.
    drawn = jax.random.poisson(key, jnp.exp(outputs.astype(jnp.float32)), outputs.shape)
    return drawn.astype(outputs.dtype)
