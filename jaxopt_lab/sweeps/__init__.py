"""Many runs as one program, spread over every device there is.

It imports `core` and `engine`, whose `fit` drives a `Population` as it drives one run. Begin with
`_population.py`; `placement` says what lies where, `halving` who goes on.
"""

from jaxopt_lab.sweeps._population import Population, Variants, Wave
from jaxopt_lab.sweeps._runs_at_once import runs_at_once
from jaxopt_lab.sweeps.halving import rung_ends, rung_sizes, survivors
from jaxopt_lab.sweeps.placement import over_runs, run_bytes, spread, wave_size
from jaxopt_lab.sweeps.range_test import (
    diverged_at,
    has_fallen,
    range_test_rates,
    smoothed_losses,
    steepest,
    valley,
)

__all__ = [
    "Population",
    "Variants",
    "Wave",
    "diverged_at",
    "has_fallen",
    "over_runs",
    "range_test_rates",
    "run_bytes",
    "rung_ends",
    "rung_sizes",
    "runs_at_once",
    "smoothed_losses",
    "spread",
    "steepest",
    "survivors",
    "valley",
    "wave_size",
]
