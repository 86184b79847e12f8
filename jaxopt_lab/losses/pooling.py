"""The outputs of an ensemble's members as its own, by the distribution that a loss scores."""

import jax
import jax.numpy as jnp


def log_of_mean_softmax(outputs: jax.Array) -> jax.Array:
    """Logits (M, B, K) of M classifiers as the logarithm of their mean probabilities, (B, K)."""
    return jnp.log(jax.nn.softmax(outputs.astype(jnp.float32), axis=-1).mean(0))


def logit_of_mean_sigmoid(outputs: jax.Array) -> jax.Array:
    """Logits (M, B, K), each of a probability of its own, as that of the mean of it, (B, K)."""
    z = outputs.astype(jnp.float32)
    log_mean = lambda log_p: jax.nn.logsumexp(log_p, axis=0)  # noqa: E731 - M cancels below
    return log_mean(jax.nn.log_sigmoid(z)) - log_mean(jax.nn.log_sigmoid(-z))
