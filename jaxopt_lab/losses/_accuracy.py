"""Classification accuracy."""

import jax
import jax.numpy as jnp


def accuracy(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the largest output is at the label, one value a sample.

    Args:
      outputs: scores, (B, K).
      labels: classes, (B,) integers, or distributions, (B, K), whose largest entry counts.

    Returns:
      (B,) float32, 1 where right and 0 where wrong; the mean is the accuracy.

    Reference: the fraction of correct predictions.
    """
    if labels.ndim == outputs.ndim:
        labels = labels.argmax(-1)
    return (outputs.argmax(-1) == labels).astype(jnp.float32)
