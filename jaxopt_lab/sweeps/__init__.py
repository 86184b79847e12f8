"""Many runs as one program, spread over every device there is."""

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

__all__ = [
    "RunsChunk",
    "device_mesh",
    "fit_runs",
    "over_runs",
    "replicated",
    "run_bytes",
    "rung_ends",
    "rung_sizes",
    "some_devices",
    "spread",
    "survivors",
    "wave_size",
]
