"""L1 penalty."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.mask import BatchAxes, Mask
from jaxopt_lab.core.ranges import NonNegative, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.losses.penalized import total


@checked
def l1(
    params: Params, *, weight: NonNegative, mask: Mask = None, batch_axes: BatchAxes = None
) -> jax.Array:
    """Sum of absolute values, added to the loss: it draws parameters to zero.

    Gradient steps carry a parameter across zero and back, and seldom leave it there; exact zeros
    take a proximal method, as `linear.fit` is.

        R = lambda ||theta||_1,    dR/dtheta = lambda sign(theta), 0 at 0

    Args:
      params: a pytree of arrays, any float dtype.
      weight: lambda >= 0; a number or a traced array.
      mask: which leaves count: a pytree of bools or a prefix of one, or a function of the
        parameters that gives one; None for those of rank above 1.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        are no part of its rank; a number, a pytree of numbers, a prefix of one, or a function of
        the parameters that gives one; None for 0.

    Returns:
      A scalar, float32 or wider.

    Raises:
      ArgumentError: for a weight out of its range.

    Reference: Tibshirani, 1996, https://doi.org/10.1111/j.2517-6161.1996.tb02080.x.
    """
    # The derivative of jnp.abs at 0 depends on jax's version; that of x sign(x) is sign(x).
    return weight * total(lambda x: x * jnp.sign(x), params, mask, batch_axes)
