"""Coefficient of determination."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.losses.targets import targets
from jaxopt_lab.losses.whole import weighted_mean, weights_of


@declare(better="max", targets=("numbers",), unasked=("numbers",), whole=True)
def r2(outputs: jax.Array, labels: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """The share of the variance that is explained, over a whole split, the mean over the outputs.

    It is no mean over samples: give it all outputs at once, not batches to be averaged.

        R^2 = 1/K sum_k 1 - sum_i (z_ik - y_ik)^2 / sum_i (y_ik - mean_k)^2

    Args:
      outputs: z, (N, K), or (N,) for one output.
      labels: y of the outputs' shape, or for one output (N,).
      weight: of the samples, (N,) >= 0; None for 1 each.

    Returns:
      A scalar, at most 1, 0 for the mean as a constant prediction, below it for worse. Where an
      output of y is constant, 1 if it is predicted exactly and else 0.

    Raises:
      InputError: where the labels' shape does not fit.

    Reference: as scikit-learn's `r2_score`.
    """
    z, y = targets(outputs, labels, "r2")
    weight = weights_of(z, weight)
    left = weighted_mean((z - y) ** 2, weight)
    # From the middle, and not from the mean of squares, which would cancel.
    spread = weighted_mean((y - weighted_mean(y, weight)[None]) ** 2, weight)
    constant = spread == 0
    explained = 1 - left / jnp.where(constant, 1, spread)
    return jnp.where(constant, jnp.where(left == 0, 1.0, 0.0), explained).mean()
