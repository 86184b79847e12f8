"""The outputs of an ensemble's members as its own, by the distribution that a loss scores."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.tree import accumulator_dtype


def log_of_mean_softmax(outputs: jax.Array) -> jax.Array:
    """Logits (M, B, K) of M classifiers as the logarithm of their mean probabilities, (B, K)."""
    z = outputs.astype(accumulator_dtype(outputs.dtype))
    return _log_mean(jax.nn.log_softmax(z, axis=-1))


def logit_of_mean_sigmoid(outputs: jax.Array) -> jax.Array:
    """Logits (M, B, K), each of a probability of its own, as that of the mean of it, (B, K)."""
    z = outputs.astype(accumulator_dtype(outputs.dtype))
    return _log_mean(jax.nn.log_sigmoid(z)) - _log_mean(jax.nn.log_sigmoid(-z))


def log_of_mean_exp(outputs: jax.Array) -> jax.Array:
    """Logarithms (M, B, K) of rates as those of their means, (B, K)."""
    return _log_mean(outputs.astype(accumulator_dtype(outputs.dtype)))


def _log_mean(log_p: jax.Array) -> jax.Array:
    """Of the members' probabilities or rates, smaller perhaps than any float; these are not."""
    return jax.nn.logsumexp(log_p, axis=0) - jnp.log(len(log_p))
