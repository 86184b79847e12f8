"""Binary cross-entropy."""

import jax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Positive, Probability, checked
from jaxopt_lab.losses.pooling import logit_of_mean_sigmoid
from jaxopt_lab.losses.responses import sigmoid
from jaxopt_lab.losses.targets import targets, weighted


@declare(
    targets=("classes", "labels"),
    unasked=("labels",),
    pool=logit_of_mean_sigmoid,
    response=sigmoid,
)
@checked
def binary_cross_entropy(
    outputs: jax.Array,
    labels: jax.Array,
    *,
    positive_weight: Positive = 1.0,
    label_smoothing: Probability = 0.0,
) -> jax.Array:
    """Cross-entropy of the sigmoid of each logit, their mean, one value a sample.

    The loss of multi-label classification, where a sample may have any of K labels, or none.

        l = 1/K sum_k w q_k log(1 + e^-z_k) + (1 - q_k) log(1 + e^z_k),    q = (1 - s) y + s/2

    Finite, with its gradient, for logits of any finite size; one of -infinity rules its label out.

    Args:
      outputs: logits z, (B, K), or (B,) for one; any float dtype, computed in float32 or wider.
      labels: y of the outputs' shape, or for one logit (B,): 1 where a sample has the label, 0 or
        -1 where it has not, or its probability in [0, 1]; or (B,) integer classes in [0, K), taken
        one-hot.
      positive_weight: w > 0, for labels that few samples have; a number or a traced array.
      label_smoothing: s in [0, 1], the share of each label given to one half.

    Returns:
      (B,), float32 or wider.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: where the labels' shape does not fit.

    Differs from: `logistic`, which is the sum over the K logits: K times this, so that the rate
    does not depend on how many labels there are. PyTorch's `BCEWithLogitsLoss(pos_weight=w)` and
    Keras' `BinaryCrossentropy(from_logits=True, label_smoothing=s)` are this one.

    Reference: Cox, 1958, https://doi.org/10.1111/j.2517-6161.1958.tb00292.x.
    """
    z, y = targets(outputs, labels, "binary_cross_entropy", signs=True)
    y = (1 - label_smoothing) * y + label_smoothing / 2
    softplus = jax.nn.softplus
    positive = positive_weight * weighted(y, softplus, -z)
    return (positive + weighted(1 - y, softplus, z)).mean(-1)
