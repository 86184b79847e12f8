"""What the controls in an optimizer's state say, however deep they lie in it."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.control._early_stopping import EarlyStoppingState
from jaxopt_lab.control._snapshots import SnapshotsState
from jaxopt_lab.control._stochastic_weight_averaging import StochasticWeightAveragingState
from jaxopt_lab.control._weight_ema import WeightEmaState
from jaxopt_lab.control.plateau import PlateauState
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import find_state, find_states
from jaxopt_lab.core.types import Params


def can_stop(opt_state: Any) -> bool:
    """Whether there is an `early_stopping` in the state: known without running anything.

    A Python bool, from the state's structure alone: it costs nothing, inside `jit` too.
    """
    return bool(find_states(opt_state, EarlyStoppingState))


def has_stopped(opt_state: Any) -> jax.Array:
    """Whether an `early_stopping` in the state has stopped; False where there is none.

    Returns:
      A bool scalar, or one a lane where the state is of a `vmap`; of several, whether any has.
    """
    states = find_states(opt_state, EarlyStoppingState)
    stopped = jnp.array(False)
    for state in states:
        stopped = stopped | state.stopped
    return stopped


def best_params(opt_state: Any) -> Params:
    """The parameters with the best value of what `early_stopping` watches.

    Raises:
      InputError: where there is not exactly one `early_stopping`, or it keeps no parameters.
    """
    state = find_state(opt_state, "early_stopping", EarlyStoppingState)
    if state.best_params is None:
        raise InputError(
            "early_stopping(restore_best=False) keeps no best parameters: set restore_best=True"
        )
    return state.best_params


def averaged_params(opt_state: Any) -> Params:
    """The parameters averaged by `weight_ema` or `stochastic_weight_averaging`.

    Returns:
      A pytree as the parameters, float32 where these are narrower.

    Raises:
      InputError: where there is not exactly one of them.
    """
    kinds = (WeightEmaState, StochasticWeightAveragingState)
    return find_state(opt_state, "weight_ema or stochastic_weight_averaging", *kinds).average


def snapshot_params(opt_state: Any) -> Params:
    """The parameters kept by `snapshots`, each leaf with a leading axis of `members`.

    Only `min(snapshots_taken(opt_state), members)` of these are snapshots, from place 0 on.

    Raises:
      InputError: where there is not exactly one `snapshots`.
    """
    return find_state(opt_state, "snapshots", SnapshotsState).params


def snapshots_taken(opt_state: Any) -> jax.Array:
    """How many snapshots `snapshots` has taken, overwritten ones included: an int32 scalar.

    Raises:
      InputError: where there is not exactly one `snapshots`.
    """
    return find_state(opt_state, "snapshots", SnapshotsState).taken


def learning_rate_scale(opt_state: Any) -> jax.Array:
    """The factor that a plateau has come to: a float scalar in (0, 1].

    Raises:
      InputError: where there is not exactly one `reduce_on_plateau` or `plateau_learning_rate`.
    """
    return find_state(opt_state, "reduce_on_plateau or plateau_learning_rate", PlateauState).scale
