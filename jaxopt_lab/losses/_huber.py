"""Huber's loss."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.losses.targets import targets


@declare(targets=("numbers",))
@checked
def huber(outputs: jax.Array, labels: jax.Array, *, delta: Positive = 1.0) -> jax.Array:
    """Squared for small errors and absolute for large ones, one value a sample.

    The loss of regression with outliers: near its minimum as smooth as the squared error, and a
    sample far away pulls with a force of delta at most.

        l = sum_k h(z_k - y_k),    h(a) = a^2 / 2 where |a| <= delta, else delta (|a| - delta / 2)

    Args:
      outputs: z, (B, K), or (B,) for one output; any float dtype, computed in float32 or wider.
      labels: y of the outputs' shape, or for one output (B,).
      delta: where the two meet, > 0, in units of y; a number or a traced array.

    Returns:
      (B,), float32 or wider.

    Raises:
      ArgumentError: for a delta out of its range.
      InputError: where the labels' shape does not fit.

    Differs from: PyTorch's `HuberLoss` and Keras' `Huber`, which are also a mean over the K
    outputs; PyTorch's `SmoothL1Loss` is this divided by its beta, the delta.

    Reference: Huber, 1964, https://doi.org/10.1214/aoms/1177703732.
    """
    z, y = targets(outputs, labels, "huber")
    away = jnp.abs(z - y)
    near = jnp.minimum(away, delta)
    return (near * (away - near / 2)).sum(-1)
