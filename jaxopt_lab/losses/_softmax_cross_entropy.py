"""Softmax cross-entropy."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.ranges import Probability, checked


@checked
def softmax_cross_entropy(
    outputs: jax.Array, labels: jax.Array, *, label_smoothing: Probability = 0.0
) -> jax.Array:
    """Cross-entropy of the softmax of logits, one value a sample.

    The loss of classification with exclusive classes.

        l = -sum_k q_k log softmax(z)_k,    q = (1 - s) y + s / K

    Computed in float32 whatever the logits' dtype, and finite for logits of any finite size.

    Args:
      outputs: logits z, (B, K), any float dtype.
      labels: classes, (B,) integers in [0, K), or distributions y, (B, K).
      label_smoothing: s in [0, 1], the share of the label given to the uniform distribution.

    Returns:
      (B,) float32.

    Reference: Szegedy et al., 2016, https://arxiv.org/abs/1512.00567 (label smoothing).
    """
    logits = outputs.astype(jnp.float32)
    classes = logits.shape[-1]
    if labels.ndim == logits.ndim - 1:
        labels = jax.nn.one_hot(labels, classes)
    smooth = (1 - label_smoothing) * labels.astype(jnp.float32) + label_smoothing / classes
    return optax.losses.softmax_cross_entropy(logits, smooth)
