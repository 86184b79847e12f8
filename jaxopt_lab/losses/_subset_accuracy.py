"""Accuracy of whole sets of labels."""

import jax

from jaxopt_lab.core.declare import declare


@declare(share=True, better="max", targets=("labels",), unasked=("labels",))
def subset_accuracy(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether all labels of a sample are right, one value a sample.

    Args:
      outputs: scores, (B, K), above 0 for the labels that are predicted.
      labels: (B, K), above 0 where a sample has a label; probabilities above one half.

    Returns:
      (B,), 1.0 where every label is right and else 0.0.

    Reference: as scikit-learn's `accuracy_score` of labels.
    """
    half = 0.5 if jax.numpy.issubdtype(labels.dtype, jax.numpy.floating) else 0
    return ((outputs > 0) == (labels > half)).all(-1).astype(float)
