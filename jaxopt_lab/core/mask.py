"""Which parameters something is for."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import Params

Mask = Any | Callable[[Params], Any] | None
"""A pytree of bools, a prefix of one, a function of the parameters that gives one, or None."""


def full_mask(mask: Mask, params: Params) -> Any:
    """A bool for every leaf of `params`; for None, whether its rank is above 1.

    Biases and the scales and offsets of normalizations have rank 1.
    """
    if mask is None:
        return jax.tree.map(lambda p: jnp.ndim(p) > 1, params)
    chosen = masked_by(mask, params)
    return jax.tree.map(lambda m, subtree: jax.tree.map(lambda _: bool(m), subtree), chosen, params)


def masked_by(mask: Any, params: Params) -> Any:
    """What a mask says of `params`: itself, or what it gives where it is a function.

    A pytree whose leaves are bools is a mask even if it can be called, as a module with a bool in
    the place of each parameter can. optax looks at the leaves too.
    """
    leaves = jax.tree.leaves(mask)
    is_mask = leaves and all(
        isinstance(x, bool) or getattr(x, "dtype", None) == jnp.bool_ for x in leaves
    )
    return mask(params) if callable(mask) and not is_mask else mask
