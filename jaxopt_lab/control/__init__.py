"""Controls: transformations that watch training. Members of a chain, and wrappers around it.

The table's order is the order of a chain: those placed at "gradients" come before the optimizer,
those at "updates" after it, and each "wrapper" goes around all before it, so that early stopping
sees every measurement and freezes everything. Each declares its place, what the program gives it
and what it keeps, by `core.declare`.

Imports `core`, `linalg`, `problems` and `losses` at most. Begin with `_clip_by_value.py`, a member,
and `_early_stopping.py`, a wrapper; `accessors.py` reads their states.
"""

from jaxopt_lab.control._add_gradient_noise import add_gradient_noise
from jaxopt_lab.control._clip_by_global_norm import clip_by_global_norm
from jaxopt_lab.control._clip_by_norm import clip_by_norm
from jaxopt_lab.control._clip_by_value import clip_by_value
from jaxopt_lab.control._early_stopping import early_stopping
from jaxopt_lab.control._multi_steps import multi_steps
from jaxopt_lab.control._plateau_learning_rate import plateau_learning_rate
from jaxopt_lab.control._reduce_on_plateau import reduce_on_plateau
from jaxopt_lab.control._skip_not_finite import skip_not_finite
from jaxopt_lab.control._snapshots import snapshots
from jaxopt_lab.control._stochastic_weight_averaging import stochastic_weight_averaging
from jaxopt_lab.control._weight_ema import weight_ema
from jaxopt_lab.control.accessors import (
    averaged_params,
    best_params,
    can_stop,
    has_stopped,
    learning_rate_scale,
    snapshot_params,
    snapshots_taken,
)
from jaxopt_lab.core.types import Metric

CONTROLS = {
    f.__name__: f
    for f in (
        clip_by_value,
        clip_by_norm,
        clip_by_global_norm,
        add_gradient_noise,
        reduce_on_plateau,
        weight_ema,
        stochastic_weight_averaging,
        snapshots,
        multi_steps,
        skip_not_finite,
        plateau_learning_rate,
        early_stopping,
    )
}

__all__ = [
    "CONTROLS",
    "Metric",
    "add_gradient_noise",
    "averaged_params",
    "best_params",
    "can_stop",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "early_stopping",
    "has_stopped",
    "learning_rate_scale",
    "multi_steps",
    "plateau_learning_rate",
    "reduce_on_plateau",
    "skip_not_finite",
    "snapshot_params",
    "snapshots",
    "snapshots_taken",
    "stochastic_weight_averaging",
    "weight_ema",
]
