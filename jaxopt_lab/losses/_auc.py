"""Area under the ROC curve."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.losses.whole import mean_of_defined, truths, weights_of


@declare(better="max", targets=("classes", "labels"), whole=True)
def auc(outputs: jax.Array, labels: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Area under the receiver operating characteristic, over a whole split.

    The probability that a sample of a class scores above one of another, a tie counted half; no
    threshold enters. It is no mean over samples: give it all outputs at once, not batches to be
    averaged. Of two classes it is that of the second; of more the mean of each against the rest,
    by the probabilities of the softmax; of labels the mean over them.

    Args:
      outputs: scores, (N, K); or for two classes (N,) or (N, 1), of the second.
      labels: classes, (N,) integers, or distributions, (N, K) floats, whose largest entry counts;
        or labels, (N, K) integers, 1 where a sample has one.
      weight: of the samples, (N,) >= 0; None for 1 each.

    Returns:
      A scalar in [0, 1], 0.5 for chance. A class that all samples have, or none, is left out; NaN
      where that is every class.

    Reference: Hanley and McNeil, 1982, https://doi.org/10.1148/radiology.143.1.7063747; as
    scikit-learn's `roc_auc_score(multi_class="ovr", average="macro")`.
    """
    _, there = truths(outputs, labels)
    weight = weights_of(outputs, weight)
    scores = outputs.reshape(len(outputs), -1).astype(weight.dtype)
    exclusive = labels.ndim == 1 or jnp.issubdtype(labels.dtype, jnp.floating)
    if scores.shape[1] == 1:
        there = there[:, 1:]
    elif exclusive and scores.shape[1] == 2:
        scores, there = scores[:, 1:] - scores[:, :1], there[:, 1:]
    elif exclusive:
        scores = jax.nn.softmax(scores, axis=-1)
    return mean_of_defined(jax.vmap(_of_one, (1, 1, None))(scores, there, weight))


def _of_one(scores: jax.Array, there: jax.Array, weight: jax.Array) -> jax.Array:
    order = jnp.argsort(scores)
    scores, weight = scores[order], weight[order]
    positive, negative = (jnp.where(where[order], weight, 0) for where in (there, ~there))
    below = jnp.concatenate([jnp.zeros(1, weight.dtype), jnp.cumsum(negative)])
    # Of each score: the negatives that are less, and those that are not more.
    less, not_more = (below[jnp.searchsorted(scores, scores, side=s)] for s in ("left", "right"))
    pairs = positive.sum() * negative.sum()
    ahead = (positive * (less + not_more) / 2).sum()
    return jnp.where(pairs > 0, ahead / jnp.where(pairs > 0, pairs, 1), jnp.nan)
