"""Logistic loss."""

import jax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.losses.pooling import logit_of_mean_sigmoid
from jaxopt_lab.losses.responses import sigmoid
from jaxopt_lab.losses.samplers import bernoulli
from jaxopt_lab.losses.targets import targets, weighted


@declare(
    targets=("classes", "labels", "numbers"),
    sampler=bernoulli,
    pool=logit_of_mean_sigmoid,
    response=sigmoid,
)
def logistic(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Log-loss of the sigmoid of logits, one value a sample.

    For two classes with one logit, and for K classes that do not exclude each other, or are
    learned one against the rest: K independent logistic regressions. Exclusive classes have
    `softmax_cross_entropy`.

        l = sum_k y_k log(1 + e^-z_k) + (1 - y_k) log(1 + e^z_k)

    Finite, with its gradient, for logits of any finite size; one of -infinity rules its class out.

    Args:
      outputs: logits z, (B, K), or (B,) for one; any float dtype, computed in float32 or wider.
      labels: y of the outputs' shape, or for one logit (B,): 1 for the positive class, 0 or -1 for
        the other, or its probability in [0, 1]; or (B,) integer classes in [0, K), taken one-hot.

    Returns:
      (B,), float32 or wider.

    Raises:
      InputError: where the labels' shape does not fit.

    Differs from: PyTorch's `BCEWithLogitsLoss` and Keras' `BinaryCrossentropy`, which are also a
    mean over the K logits.

    Reference: Cox, 1958, https://doi.org/10.1111/j.2517-6161.1958.tb00292.x.
    """
    z, y = targets(outputs, labels, "logistic", signs=True)
    softplus = jax.nn.softplus
    return (weighted(y, softplus, -z) + weighted(1 - y, softplus, z)).sum(-1)
