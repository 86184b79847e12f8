"""Absolute error."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.losses.targets import targets


@declare(targets=("numbers",))
def absolute_error(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Sum of absolute differences of outputs and labels, one value a sample.

    The loss of regression that outliers move least: its minimum is the median.

        l = ||z - y||_1 = sum_k |z_k - y_k|,    dl/dz = sign(z - y), 0 at 0

    Args:
      outputs: z, (B, K), or (B,) for one output; any float dtype, computed in float32 or wider.
      labels: y of the outputs' shape, or for one output (B,).

    Returns:
      (B,), float32 or wider; for one output its mean is the mean absolute error.

    Raises:
      InputError: where the labels' shape does not fit.

    Differs from: the mean absolute error of Keras and PyTorch, which is also a mean over the K
    outputs.

    Reference: Boscovich, 1757; Laplace, 1793.
    """
    z, y = targets(outputs, labels, "absolute_error")
    away = z - y
    return (away * jnp.sign(away)).sum(-1)  # of jnp.abs the derivative at 0 depends on the version
