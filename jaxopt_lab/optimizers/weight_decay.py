"""Decoupled weight decay: how much, and of which parameters."""

import math
from typing import Annotated, Any

import jax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.mask import Mask, full_mask
from jaxopt_lab.core.ranges import Range
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.types import Params, ScalarOrSchedule

WeightDecay = Annotated[ScalarOrSchedule, Range(0, math.inf, high_open=True)]


def decay_rates(weight_decay: ScalarOrSchedule, mask: Mask, params: Params, step: jax.Array) -> Any:
    """lambda of every leaf at `step`: the given one where the mask says so, 0 elsewhere."""
    rate = value_at(weight_decay, step)
    return jax.tree.map(lambda decays: rate if decays else 0.0, full_mask(mask, params))


def need_params(method: str, params: Params | None) -> None:
    """Make sure that `update` was given the parameters, which optax lets a caller leave out.

    Raises:
      InputError: where they are left out.
    """
    if params is None:
        raise InputError(f"{method}: update(grads, state, params) needs params, got None")
