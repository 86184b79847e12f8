"""What a Schedule-Free method is evaluated at."""

from typing import Any

import optax

from jaxopt_lab.core.transformation import joined, trained_part
from jaxopt_lab.core.tree import find_state, widen
from jaxopt_lab.core.types import Params


def schedule_free_average(state: Any, params: Params) -> Params:
    """The average x of a Schedule-Free method: what to evaluate and to keep.

    Args:
      state: of `schedule_free_sgd` or `schedule_free_adamw`, or of a chain or wrapper with one of
        them, after the update that gave `params`.
      params: y, the parameters that training holds.

    Returns:
      x = (y - (1 - b1) z) / b1, in the dtypes of `params`.

    Raises:
      InputError: where the state has no Schedule-Free method, or several.
    """
    found = find_state(state, "Schedule-Free method", optax.contrib.ScheduleFreeState)
    part = widen(trained_part(params, params))
    return joined(optax.contrib.schedule_free_eval_params(found, part), params)
