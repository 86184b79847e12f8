"""Schedules: `step -> scalar`, for every step >= 0, peak 1 by default.

The scalar is float32, and float64 under x64.

The table holds those that a configuration names. `join` combines schedules, as several
`[[schedule]]` of a configuration do; `sgdr_cycle_end` and `cyclical_cycle_end` take the arguments
of `sgdr` and `cyclical` and say where their cycles end. Imports `core`, `linalg`, `problems` and
`losses` at most. Begin with `of_step.py`, then `_linear_decay.py`.
"""

from jaxopt_lab.schedules._constant import constant
from jaxopt_lab.schedules._cosine_decay import cosine_decay
from jaxopt_lab.schedules._cyclical import cyclical
from jaxopt_lab.schedules._cyclical_cycle_end import cyclical_cycle_end
from jaxopt_lab.schedules._exponential_decay import exponential_decay
from jaxopt_lab.schedules._inverse_time_decay import inverse_time_decay
from jaxopt_lab.schedules._join import join
from jaxopt_lab.schedules._linear_decay import linear_decay
from jaxopt_lab.schedules._one_cycle import one_cycle
from jaxopt_lab.schedules._polynomial_decay import polynomial_decay
from jaxopt_lab.schedules._scale_by import scale_by
from jaxopt_lab.schedules._sgdr import sgdr
from jaxopt_lab.schedules._sgdr_cycle_end import sgdr_cycle_end
from jaxopt_lab.schedules._step_decay import step_decay
from jaxopt_lab.schedules._warmup import warmup
from jaxopt_lab.schedules._wsd import wsd

SCHEDULES = {
    f.__name__: f
    for f in (
        constant,
        linear_decay,
        inverse_time_decay,
        exponential_decay,
        step_decay,
        polynomial_decay,
        cosine_decay,
        cyclical,
        sgdr,
        one_cycle,
        wsd,
        warmup,
    )
}

__all__ = [
    "SCHEDULES",
    "constant",
    "cosine_decay",
    "cyclical",
    "cyclical_cycle_end",
    "exponential_decay",
    "inverse_time_decay",
    "join",
    "linear_decay",
    "one_cycle",
    "polynomial_decay",
    "scale_by",
    "sgdr",
    "sgdr_cycle_end",
    "step_decay",
    "warmup",
    "wsd",
]
