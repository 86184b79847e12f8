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
    chosen = mask(params) if callable(mask) else mask
    return jax.tree.map(lambda m, subtree: jax.tree.map(lambda _: bool(m), subtree), chosen, params)
