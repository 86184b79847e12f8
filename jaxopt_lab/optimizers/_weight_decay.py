"""Decoupled weight decay: how much, and of which parameters."""

import math
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Range
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.types import Params, ScalarOrSchedule

WeightDecay = Annotated[ScalarOrSchedule, Range(0, math.inf, high_open=True)]

Mask = Any | Callable[[Params], Any] | None
"""A pytree of bools, a prefix of one, a function of the parameters that gives one, or None."""


def decay_mask(mask: Mask, params: Params) -> Any:
    """Which leaves decay, a pytree of bools like `params`: for None those of rank above 1.

    Biases and the scales and offsets of normalizations have rank 1.
    """
    if mask is None:
        return jax.tree.map(lambda p: jnp.ndim(p) > 1, params)
    chosen = mask(params) if callable(mask) else mask
    return jax.tree.map(lambda m, subtree: jax.tree.map(lambda _: bool(m), subtree), chosen, params)


def decay_rates(weight_decay: ScalarOrSchedule, mask: Mask, params: Params, step: jax.Array) -> Any:
    """lambda of every leaf at `step`: the given one where the mask says so, 0 elsewhere."""
    rate = value_at(weight_decay, step)
    return jax.tree.map(lambda decays: rate if decays else 0.0, decay_mask(mask, params))


def need_params(method: str, params: Params | None) -> None:
    """Weight decay and the like read the parameters, which optax lets a caller leave out.

    Raises:
      InputError: where they are left out.
    """
    if params is None:
        raise InputError(f"{method}: update(grads, state, params) needs params, got None")
