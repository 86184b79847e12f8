"""Squared error."""

import jax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.losses.samplers import normal
from jaxopt_lab.losses.targets import targets


@declare(targets=("classes", "labels", "numbers"), unasked=("numbers",), sampler=normal)
def squared_error(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Squared distance of outputs to labels, one value a sample.

    The loss of regression; of classification too, where it draws the outputs to the one-hot label
    (their error is then the Brier score, if they are probabilities).

        l = ||z - y||^2 = sum_k (z_k - y_k)^2

    Args:
      outputs: z, (B, K), or (B,) for one output; any float dtype, computed in float32 or wider.
      labels: y of the outputs' shape, or for one output (B,); or (B,) integer classes in [0, K),
        taken one-hot.

    Returns:
      (B,), float32 or wider; for one output its mean is the mean squared error.

    Raises:
      InputError: where the labels' shape does not fit.

    Differs from: the mean squared error of Keras and PyTorch, which is also a mean over the K
    outputs; `optax.l2_loss`, which is half of it, one value an output.

    Reference: Gauss, 1809, Theoria motus; for classification Hui and Belkin, 2021,
    https://arxiv.org/abs/2006.07322.
    """
    z, y = targets(outputs, labels, "squared_error")
    return ((z - y) ** 2).sum(-1)
