"""Classification accuracy."""

import jax

from jaxopt_lab.core.declare import declare


@declare(share=True, better="max", unasked=("classes",))
def accuracy(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the largest output is at the label, one value a sample.

    Args:
      outputs: scores, (B, K); or for two classes (B,) or (B, 1), above 0 for the positive one.
      labels: classes, (B,) integers, or distributions, (B, K), whose largest entry counts; for a
        single score above 0 for the positive class.

    Returns:
      (B,), 1.0 where right and 0 where wrong; the mean is the accuracy.

    Reference: the fraction of correct predictions.
    """
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        right = (outputs.reshape(-1) > 0) == (labels.reshape(-1) > 0)
        return right.astype(float)
    if labels.ndim == outputs.ndim:
        labels = labels.argmax(-1)
    return (outputs.argmax(-1) == labels).astype(float)
