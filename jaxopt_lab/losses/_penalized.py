"""Which parameters a penalty is on."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import Params

Mask = Any | Callable[[Params], Any] | None
"""A pytree of bools, a prefix of one, a function of the parameters that gives one, or None."""


def total(function: Callable[[jax.Array], jax.Array], params: Params, mask: Mask) -> jax.Array:
    """The sum of an elementwise function over the masked leaves, in float32.

    For None those of rank above 1: not biases, nor the scales and offsets of normalizations.
    """
    if mask is None:
        mask = jax.tree.map(lambda p: jnp.ndim(p) > 1, params)
    elif callable(mask):
        mask = mask(params)

    def chosen(keep, subtree):
        leaves = jax.tree.leaves(subtree) if keep else []
        return sum((function(p.astype(jnp.float32)).sum() for p in leaves), jnp.float32(0))

    return jax.tree.reduce(jnp.add, jax.tree.map(chosen, mask, params), jnp.float32(0))
