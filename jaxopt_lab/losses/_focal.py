"""Focal loss."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import NonNegative, Probability, checked
from jaxopt_lab.losses.pooling import logit_of_mean_sigmoid
from jaxopt_lab.losses.responses import sigmoid
from jaxopt_lab.losses.targets import targets, weighted


@declare(targets=("classes", "labels"), pool=logit_of_mean_sigmoid, response=sigmoid)
@checked
def focal(
    outputs: jax.Array,
    labels: jax.Array,
    *,
    gamma: NonNegative = 2.0,
    alpha: Probability | None = 0.25,
) -> jax.Array:
    """Cross-entropy that counts less what is right already, one value a sample.

    For labels, or classes one against the rest, of which each sample has few: the many easy
    negatives do not drown the rest.

        l = -sum_k a_k (1 - p_k)^gamma log p_k

    with p_k the probability sigmoid(z_k) given to the truth: itself where y_k is 1 and 1 less it
    where it is 0; a_k is alpha where y_k is 1 and 1 - alpha where it is 0. Labels between 0 and 1
    give the expected loss.

    Args:
      outputs: logits z, (B, K), or (B,) for one; any float dtype, computed in float32 or wider.
      labels: y of the outputs' shape, or for one logit (B,): 1, 0 or -1, or a probability in
        [0, 1]; or (B,) integer classes in [0, K), taken one-hot.
      gamma: >= 0; 0 for the cross-entropy. A number or a traced array.
      alpha: in [0, 1], the weight of what is there; None for a weight of 1 for both.

    Returns:
      (B,), float32 or wider.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: where the labels' shape does not fit.

    Differs from: Keras' `BinaryFocalCrossentropy`, a mean over the K logits, whose default has no
    alpha; the numbers of torchvision's `sigmoid_focal_loss` sum to this one.

    Reference: Lin et al., 2017, https://arxiv.org/abs/1708.02002, equation 5.
    """
    z, y = targets(outputs, labels, "focal", signs=True)
    there, absent = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)

    def of(z):
        """(1 - p)^gamma (-log p) for p = sigmoid(z)."""
        # By the logarithm, whose gradient is finite where 1 - p is 0.
        return jnp.exp(gamma * jax.nn.log_sigmoid(-z)) * jax.nn.softplus(-z)

    return (there * weighted(y, of, z) + absent * weighted(1 - y, of, -z)).sum(-1)
