"""F1 score."""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import checked
from jaxopt_lab.losses.whole import mean_of_defined, truths, weights_of


@declare(better="max", targets=("classes", "labels"), unasked=("labels",), whole=True)
@checked
def f1(
    outputs: jax.Array,
    labels: jax.Array,
    weight: jax.Array | None = None,
    *,
    average: Literal["macro", "micro", "weighted"] = "macro",
) -> jax.Array:
    """The harmonic mean of precision and recall, over a whole split.

    For classes of unequal sizes, which the accuracy hides. It is no mean over samples: give it all
    outputs at once, not batches to be averaged.

        F1 = 2 TP / (2 TP + FP + FN)

    Args:
      outputs: scores, (N, K): of classes the largest is predicted, of labels those above 0; or for
        two classes (N,) or (N, 1), above 0 for the second.
      labels: classes, (N,) integers, or distributions, (N, K) floats, whose largest entry counts;
        or labels, (N, K) integers, 1 where a sample has one.
      weight: of the samples, (N,) >= 0; None for 1 each.
      average: "macro" for the mean over classes, those left out that are neither there nor
        predicted; "weighted" for it by how many samples a class has; "micro" for that of the counts
        of all classes together, which of exclusive classes is the accuracy.

    Returns:
      A scalar in [0, 1]; NaN where nothing is there or predicted.

    Raises:
      ArgumentError: for an unknown average.

    Differs from: scikit-learn's `f1_score` of labels, which counts those that are neither there nor
    predicted as 0; with `zero_division=nan` it is this one.

    Reference: van Rijsbergen, 1979, Information Retrieval, chapter 7.
    """
    predicted, there = truths(outputs, labels)
    weight = weights_of(outputs, weight)[:, None]

    def count(where):
        return jnp.where(where, weight, 0).sum(0)

    hit, miss = count(predicted & there), count(predicted ^ there)
    if average == "micro":
        hit, miss = hit.sum(keepdims=True), miss.sum(keepdims=True)
    scale = 2 * hit + miss
    scores = jnp.where(scale > 0, 2 * hit / jnp.where(scale > 0, scale, 1), jnp.nan)
    if average == "weighted":
        size = count(there)
        return jnp.where(size > 0, size * scores, 0).sum() / size.sum()
    return mean_of_defined(scores)
