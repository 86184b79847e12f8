"""Accuracy among the k largest outputs."""

import jax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count, checked


@declare(share=True, better="max", targets=("classes",))
@checked
def top_k_accuracy(outputs: jax.Array, labels: jax.Array, *, k: Count = 5) -> jax.Array:
    """Whether the label is among the k largest outputs, one value a sample.

    Args:
      outputs: scores, (B, K).
      labels: classes, (B,) integers, or distributions, (B, K), whose largest entry counts.
      k: 1 to K - 1; static.

    Returns:
      (B,), 1.0 where right and 0.0 where wrong. Of outputs that are equal those of the first
      classes count as the larger.

    Raises:
      ArgumentError: for k below 1.
      InputError: for k of K or more, which every output would be among.

    Reference: Russakovsky et al., 2015, https://arxiv.org/abs/1409.0575, with k = 5.
    """
    if outputs.ndim != 2 or k >= outputs.shape[1]:
        raise InputError(
            f"top_k_accuracy: k = {k} needs outputs (B, K) of more than {k} classes, got shape "
            f"{outputs.shape}"
        )
    if labels.ndim == outputs.ndim:
        labels = labels.argmax(-1)
    best = jax.lax.top_k(outputs, k)[1]
    return (best == labels[:, None]).any(-1).astype(float)
