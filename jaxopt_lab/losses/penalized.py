"""The sum of a function over the parameters that a penalty is on."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_lab.core.mask import BatchAxes, Mask, full_mask
from jaxopt_lab.core.tree import is_trained, widen
from jaxopt_lab.core.types import Params


def total(
    function: Callable[[jax.Array], jax.Array], params: Params, mask: Mask, batch_axes: BatchAxes
) -> jax.Array:
    """The sum of an elementwise function over the masked leaves, in float32 or wider."""
    chosen = jax.tree.leaves(full_mask(mask, params, batch_axes))
    pairs = zip(chosen, jax.tree.leaves(params), strict=True)
    parts = [function(widen(p)).sum() for keep, p in pairs if keep and is_trained(p)]
    return jnp.stack(parts).sum() if parts else jnp.zeros([])
