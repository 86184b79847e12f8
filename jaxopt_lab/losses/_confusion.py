"""Confusion matrix."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.losses.whole import truths, weights_of


@declare(targets=("classes",), whole=True, scalar=False)
def confusion(outputs: jax.Array, labels: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """How many samples of each class are taken for each, over a whole split.

    Args:
      outputs: scores, (N, K); or for two classes (N,) or (N, 1), above 0 for the second.
      labels: classes, (N,) integers, or distributions, (N, K), whose largest entry counts.
      weight: of the samples, (N,) >= 0; None for 1 each.

    Returns:
      (K, K): a row a true class, a column a predicted one; sums of weights.

    Reference: as scikit-learn's `confusion_matrix`.
    """
    predicted, there = truths(outputs, labels)
    weight = weights_of(outputs, weight)
    rows = jnp.where(there, weight[:, None], 0)
    return full_precision(jnp.matmul)(rows.T, predicted.astype(rows.dtype))
