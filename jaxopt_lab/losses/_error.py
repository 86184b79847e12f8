"""Classification error."""

import jax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.losses._accuracy import accuracy


@declare(share=True, targets=("classes",))
def error(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the largest output is elsewhere than at the label, one value a sample.

    Args:
      outputs, labels: as of `accuracy`.

    Returns:
      (B,), 0.0 where right and 1.0 where wrong; the mean is the error, 1 less the accuracy.

    Reference: the fraction of wrong predictions.
    """
    return 1 - accuracy(outputs, labels)
