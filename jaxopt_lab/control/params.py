"""The parameters of the call, and those after it."""

from typing import Any

import optax

from jaxopt_lab.core.errors import InputError
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
    """The parameters once these updates are applied, in their own dtypes."""
    return optax.apply_updates(required(control, params), updates)
