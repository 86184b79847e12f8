"""Many runs as one program, spread over every device there is."""

from jaxopt_lab.sweeps._at_once import runs_at_once
from jaxopt_lab.sweeps._fit_runs import RunsChunk, fit_runs
from jaxopt_lab.sweeps._halving import rung_ends, rung_sizes, survivors
from jaxopt_lab.sweeps._placement import (
    device_mesh,
    over_runs,
    replicated,
    run_bytes,
    some_devices,
    spread,
    wave_size,
)
from jaxopt_lab.sweeps.range_test import (
    diverged_at,
    range_test_rates,
    smoothed_losses,
    steepest,
    valley,
)

__all__ = [
    "RunsChunk",
    "device_mesh",
    "diverged_at",
    "fit_runs",
    "over_runs",
    "range_test_rates",
    "replicated",
    "run_bytes",
    "rung_ends",
    "rung_sizes",
    "runs_at_once",
    "smoothed_losses",
    "some_devices",
    "spread",
    "steepest",
    "survivors",
    "valley",
    "wave_size",
]
