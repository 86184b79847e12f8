"""Mean absolute error."""

import jax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.losses._absolute_error import absolute_error


@declare(targets=("numbers",), unasked=("numbers",))
def mae(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean absolute error over the outputs, one value a sample.

    Args:
      outputs: z, (B, K), or (B,) for one output.
      labels: y of the outputs' shape, or for one output (B,).

    Returns:
      (B,), float32 or wider, in units of y.

    Raises:
      InputError: where the labels' shape does not fit.

    Reference: as scikit-learn's `mean_absolute_error`.
    """
    return absolute_error(outputs, labels) / (outputs.size // len(outputs) if len(outputs) else 1)
