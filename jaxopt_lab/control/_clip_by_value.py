"""Clipping each element."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.core.transformation import refuse_complex, transformation


@declare(any_rate=True)
@checked
def clip_by_value(max_value: Positive) -> optax.GradientTransformationExtraArgs:
    """Hold each element of the gradient between two bounds.

    Against single huge elements. It changes the gradient's direction; `clip_by_global_norm` keeps
    it.

        g <- min(max(g, -c), c)

    Args:
      max_value: c > 0; a number or a traced array.

    Returns:
      A transformation without state.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, for complex gradients.

    Reference: `clipvalue` of Keras' optimizers, `torch.nn.utils.clip_grad_value_`.
    """

    def init(params):
        del params
        return optax.EmptyState()

    def update(updates, state, params=None, **extra):
        del params, extra
        refuse_complex("clip_by_value", updates)
        clipped = jax.tree.map(
            lambda g: jnp.clip(g, -max_value, max_value).astype(g.dtype), updates
        )
        return clipped, state

    return transformation(init, update)
