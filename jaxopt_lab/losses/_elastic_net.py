"""Elastic net penalty."""

import jax

from jaxopt_lab.core.mask import BatchAxes, Mask
from jaxopt_lab.core.ranges import NonNegative, Probability, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.losses._l1 import l1
from jaxopt_lab.losses._l2 import l2


@checked
def elastic_net(
    params: Params,
    *,
    weight: NonNegative,
    ratio: Probability = 0.5,
    mask: Mask = None,
    batch_axes: BatchAxes = None,
) -> jax.Array:
    """A blend of the L1 and L2 penalties, added to the loss.

    Sparser than L2, and unlike L1 it shares weight among correlated features.

        R = lambda (r ||theta||_1 + (1 - r)/2 ||theta||^2)

    Args:
      params: a pytree of arrays, any float dtype.
      weight: lambda >= 0; a number or a traced array.
      ratio: r in [0, 1], the share of L1; a number or a traced array.
      mask: which leaves count: a pytree of bools or a prefix of one, or a function of the
        parameters that gives one; None for those of rank above 1.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        are no part of its rank; a number, a pytree of numbers, a prefix of one, or a function of
        the parameters that gives one; None for 0.

    Returns:
      A scalar, float32 or wider.

    Raises:
      ArgumentError: for a number out of its range.

    Differs from: nothing in scikit-learn's `ElasticNet`, whose `alpha` and `l1_ratio` these are.

    Reference: Zou and Hastie, 2005, https://doi.org/10.1111/j.1467-9868.2005.00503.x.
    """
    lasso, ridge = (f(params, weight=weight, mask=mask, batch_axes=batch_axes) for f in (l1, l2))
    return ratio * lasso + (1 - ratio) * ridge
