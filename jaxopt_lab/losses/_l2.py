"""L2 penalty."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.mask import BatchAxes, Mask
from jaxopt_lab.core.ranges import NonNegative, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.losses.penalized import total


@checked
def l2(
    params: Params, *, weight: NonNegative, mask: Mask = None, batch_axes: BatchAxes = None
) -> jax.Array:
    """Half the sum of squares, added to the loss: it keeps parameters small.

    With plain gradient descent the same as decoupled weight decay of rate lambda; with adaptive
    methods not, since they scale its gradient too.

        R = lambda/2 ||theta||^2,    dR/dtheta = lambda theta

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

    Differs from: Keras' `L2`, which has no half. PyTorch's `weight_decay` of SGD is this one, on
    every parameter.

    Reference: Krogh and Hertz, 1991,
    https://papers.nips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html.
    """
    return weight / 2 * total(jnp.square, params, mask, batch_axes)
