"""Clipping the norm of each tensor."""

import jax
import optax

from jaxopt_lab.control.norm import under
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.norm import norms
from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.core.transformation import transformation


@declare(any_rate=True)
@checked
def clip_by_norm(max_norm: Positive) -> optax.GradientTransformationExtraArgs:
    """Hold the norm of each tensor's gradient under a bound.

    Where one layer's gradient explodes and must not shorten the steps of the others. It changes the
    direction of the whole; `clip_by_global_norm` keeps it.

        g_l <- g_l min(1, c / |g_l|)    for each leaf l

    Args:
      max_norm: c > 0; a number or a traced array.

    Returns:
      A transformation without state.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `clipnorm` of Keras' optimizers.
    """

    def init(params):
        del params
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        del params, extra
        leaves, structure = jax.tree.flatten(updates)
        pairs = zip(leaves, norms(updates, max_norm), strict=True)
        return structure.unflatten([under(g, size, max_norm) for g, size in pairs]), state

    return transformation(init, update)
