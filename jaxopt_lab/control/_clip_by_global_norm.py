"""Clipping the norm of the whole gradient."""

import jax
import optax

from jaxopt_lab.control.norm import under
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.norm import norm
from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.core.transformation import transformation


@declare(any_rate=True)
@checked
def clip_by_global_norm(max_norm: Positive) -> optax.GradientTransformationExtraArgs:
    """Hold the norm of the whole gradient under a bound, and keep its direction.

    The usual guard of recurrent networks and transformers against a rare huge gradient.

        g <- g min(1, c / |g|),    |g| over all leaves

    The clipping is a multiplication by scalars, which XLA repeats inside each loop of the optimizer
    that reads the gradient: no clipped gradient is ever stored. optax's division by the norm is too
    costly for XLA to repeat, so it makes a pass over memory of its own. Where squares overflow or
    underflow, and only there, two more passes find the norm.

    Args:
      max_norm: c > 0; a number or a traced array.

    Returns:
      A transformation without state.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Pascanu et al., 2013, https://arxiv.org/abs/1211.5063

    Differs from: optax accumulates the norm of bfloat16 gradients in bfloat16, and gives zeros
    where squares overflow; PyTorch adds 1e-6 to the norm.
    """

    def init(params):
        del params
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        del params, extra
        whole = norm(updates, max_norm)
        return jax.tree.map(lambda g: under(g, whole, max_norm), updates), state

    return transformation(init, update)
