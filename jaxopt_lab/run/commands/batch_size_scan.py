"""`jaxopt-lab sweep --batch-size-scan`: the loss against the batch size, and the noise scale."""

import csv
import dataclasses
import io
import os
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.load import read_tables
from jaxopt_lab.config.overrides import Say, put
from jaxopt_lab.config.parse import ConfigError, parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import Sweep, parse_sweep
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.engine import gradient_moments
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
) -> dict[int, tuple[float, float]]:
    """Measure the gradient noise scale at the end of each run, print and draw it by batch size.

    Returns:
      `{batch size: (mean loss by the monitor, mean noise scale)}` over the runs that ended well.
    """
    found: dict[int, list[tuple[float, float]]] = {}
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
            scale = float(noise_scale(*compiled[key](record.params, record.model_state)))
            loss = record.metrics[result.monitor]
            found.setdefault(run.config.data.batch_size, []).append((loss, scale))
    means = {size: tuple(np.mean(pairs, 0).tolist()) for size, pairs in sorted(found.items())}
    rows = [
        [f"{size:,}", f"{a:.4g}", f"{b:,.4g}" if np.isfinite(b) else "-"]
        for size, (a, b) in means.items()
    ]
    terminal.columns("by batch size", ["batch size", result.monitor, "gradient noise scale"], rows)
    if any(row[2] == "-" for row in rows):
        terminal.say('"-": at the end the gradient is too small beside its noise to tell')
    if result.run_dir:
        folder = SweepFolder(result.run_dir)
        with folder.locked():
            _write(folder, result.monitor, means)
    return means


def _write(folder: SweepFolder, monitor: str, means: dict[int, Any]) -> None:
    from jaxopt_lab.plots import batch_size_curve

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["batch_size", monitor, "gradient_noise_scale"])
    writer.writerows([size, *pair] for size, pair in means.items())
    write_atomically(folder.path / "batch_sizes.csv", buffer.getvalue().encode())
    losses, scales = np.array(list(means.values())).reshape(-1, 2).T
    scales = np.where(np.isfinite(scales), scales, np.nan)  # no place on an axis
    columns = {"batch_size": np.array(list(means)), "score": losses, "noise_scale": scales}
    figure = batch_size_curve(columns | {"score_name": monitor})
    write_figure(folder.plots / "batch_size.png", figure)
