"""Root mean squared error."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.losses.targets import targets
from jaxopt_lab.losses.whole import weighted_mean, weights_of


@declare(targets=("numbers",), whole=True)
def rmse(outputs: jax.Array, labels: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Root mean squared error over a whole split, the mean over the outputs.

    It is no mean over samples: give it all outputs at once, not batches to be averaged.

        rmse = 1/K sum_k sqrt(1/N sum_i (z_ik - y_ik)^2)

    Args:
      outputs: z, (N, K), or (N,) for one output.
      labels: y of the outputs' shape, or for one output (N,).
      weight: of the samples, (N,) >= 0; None for 1 each.

    Returns:
      A scalar, float32 or wider, in units of y; NaN without samples.

    Raises:
      InputError: where the labels' shape does not fit.

    Reference: as scikit-learn's `root_mean_squared_error`.
    """
    z, y = targets(outputs, labels, "rmse")
    return jnp.sqrt(weighted_mean((z - y) ** 2, weights_of(z, weight))).mean()
