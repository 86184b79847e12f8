"""`jaxopt-lab sweep --batch-size-scan`: the loss against the batch size, and the noise scale."""

import dataclasses
import os
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.load import read_tables
from jaxopt_lab.config.overrides import Say, put
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import Sweep, parse_sweep
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.engine import gradient_moments
from jaxopt_lab.run.records.csv_text import csv_text
from jaxopt_lab.run.records.pictures import write_figure
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.records.sweep_result import SweepResult
from jaxopt_lab.run.terminal.progress import Progress
from jaxopt_lab.second_order import noise_scale

AXIS = "data.batch_size"
SMALLEST = 8


def load_scan(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    data_dir: str | os.PathLike[str] | None = None,
    unset: Iterable[str] = (),
    say: Say = warnings.warn,
) -> Sweep:
    """The sweep over the batch sizes 8, 16, ... up to half of the training split.

    Raises:
      InputError: where the configuration is wrong, or has that axis already.
    """
    tables = read_tables(path, overrides, unset, say)
    own = tables.setdefault("sweep", {})
    if isinstance(own, dict) and AXIS in own:
        raise ConfigError(str(path), [(f'sweep."{AXIS}"', "is the axis of --batch-size-scan")])
    config = {k: v for k, v in tables.items() if k != "sweep"}
    put(config, AXIS, "full", "--batch-size-scan")
    whole = read(parse_config(config, source=str(path)), data_dir=data_dir).batch_size
    sizes = [2**k for k in range(3, 31) if SMALLEST <= 2**k <= whole // 2]
    return parse_sweep(tables | {"sweep": {AXIS: sizes, **own}}, source=str(path))


def measure_noise(
    plan: Sweep,
    result: SweepResult,
    terminal: Progress,
    data_dir: str | os.PathLike[str] | None = None,
) -> dict[int, tuple[float, float, float]]:
    """Measure the gradient noise scale at the end of each run, print and draw it by batch size.

    Returns:
      `{batch size: (mean loss by the monitor, mean noise scale, samples looked at)}` over the runs
      that ended well. The scale is infinite where the gradient cannot be told from its noise, which
      is where it is larger than these samples.
    """
    found: dict[int, list[tuple[float, float, float]]] = {}
    compiled: dict[str, Any] = {}
    with terminal.waiting("measuring the gradient noise scale ..."):
        for run, record in zip(plan.runs, result.runs, strict=True):
            if record is None or record.params is None or record.stopped_by == "diverged":
                continue
            # One program for all batch sizes of a model.
            data = dataclasses.replace(run.config.data, batch_size=1)
            key = repr((run.config.model, run.config.loss, data, run.config.train.dtype))
            if key not in compiled:
                experiment = assemble(run.config, read(run.config, data_dir=data_dir))
                compiled[key] = gradient_moments(
                    experiment.forward, experiment.objective, experiment.train
                )
            moments = compiled[key](record.params, record.model_state)
            # Where the gradient cannot be told from its noise the scale is beyond the samples.
            measured = record.metrics[result.monitor], float(noise_scale(*moments)), moments[2]
            found.setdefault(run.config.data.batch_size, []).append(measured)
    means = {size: tuple(np.mean(rows, 0).tolist()) for size, rows in sorted(found.items())}
    rows = [
        [f"{size:,}", f"{a:.4g}", f"{b:,.4g}" if np.isfinite(b) else f"> {least:,.4g}"]
        for size, (a, b, least) in means.items()
    ]
    terminal.columns("by batch size", ["batch size", result.monitor, "gradient noise scale"], rows)
    if any(row[2].startswith(">") for row in rows):
        terminal.say('">": at the end the gradient cannot be told from its noise: larger than this')
    if result.run_dir:
        folder = SweepFolder(result.run_dir)
        with folder.locked():
            _write(folder, result.monitor, means)
    return means


def _write(folder: SweepFolder, monitor: str, means: dict[int, Any]) -> None:
    from jaxopt_lab.plots import batch_size_curve

    head = ["batch_size", monitor, "gradient_noise_scale", "at_least"]
    table = csv_text([head, *([size, *row] for size, row in means.items())])
    write_atomically(folder.path / "batch_sizes.csv", table.encode())
    losses, scales, least = np.array(list(means.values())).reshape(-1, 3).T
    known = np.isfinite(scales)
    columns = {"batch_size": np.array(list(means)), "score": losses}
    columns |= {"noise_scale": np.where(known, scales, np.nan)}
    columns |= {"at_least": np.where(known, np.nan, least)}
    figure = batch_size_curve(columns | {"score_name": monitor})
    write_figure(folder.plots / "batch_size.png", figure)
