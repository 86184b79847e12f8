"""The parameters of the call, and those after it."""

from typing import Any

import jax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.transformation import as_arrays, require_like
from jaxopt_lab.core.tree import is_trained
from jaxopt_lab.core.types import Params


def required(control: str, params: Any) -> Params:
    """The parameters of the call.

    Raises:
      InputError: where `update` was not given them.
    """
    if params is None:
        raise InputError(f"{control} needs the parameters: update(updates, state, params)")
    return params


def after_step(control: str, params: Any, updates: Any) -> Params:
    """The parameters once these updates are applied, in their own dtypes.

    Those that cannot be trained are as they were, whatever their updates are.
    """
    params = as_arrays(required(control, params))
    require_like(updates, params)
    return jax.tree.map(
        lambda p, u: (p + u).astype(p.dtype) if is_trained(p) else p, params, updates
    )
