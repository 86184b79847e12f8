"""`jaxopt-lab evaluate`: trained runs on clean and on corrupted test images, side by side."""

import math
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.augment.corruptions import CORRUPTIONS
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.source import read
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.losses import accuracy, expected_calibration_error, softmax_cross_entropy
from jaxopt_lab.run.records.folder import write_json
from jaxopt_lab.run.records.run import Run, load_run
from jaxopt_lab.run.terminal.progress import Progress

SEVERITIES = (1, 2, 3, 4, 5)
Outputs = Callable[[np.ndarray], jax.Array]


def evaluate_runs(
    runs: Sequence[str | os.PathLike[str]],
    *,
    corruptions: bool = False,
    samples: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    terminal: Progress | None = None,
) -> dict[str, dict[str, Any]]:
    """Evaluate the parameters that each run kept on its test split, and print a table.

    Args:
      runs: folders of runs that were trained to their end.
      corruptions: also on the test images under each of 15 corruptions at 5 severities.
      samples: how many test images; None for all.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      terminal: where to print; None for nothing.

    Returns:
      For each run `error`, `loss`, `calibration_error` (ECE, 15 bins), with corruptions
      `corruption_errors` ({name: five errors}), their mean `mean_corruption_error` and the mean
      `corruption_calibration_error`; errors in [0, 1]; None for what is not finite, and for
      everything of a network whose outputs on clean images are not, as a diverged run's. The same
      is written to the run's `evaluation.json`.

    Raises:
      InputError: where a folder holds no finished run of a named model, or images that cannot be
        corrupted.
    """
    terminal = terminal or Progress(show=False)
    results = {}
    for path in runs:
        run = load_run(path)
        test = read(run.config, data_dir=data_dir).test or {}
        test, outputs = {k: v[:samples] for k, v in test.items()}, _in_batches(run)
        with terminal.waiting(f"evaluating {run.path} ..."):
            clean = outputs(test["x"])
            result: dict[str, Any] = _scores(clean, test["y"])
            if not jnp.isfinite(clean).all():
                result = dict.fromkeys(result)
                terminal.say(f"{run.path}: the outputs are not finite: the run diverged")
            elif corruptions:
                result |= _corrupted(run.config, outputs, test, terminal)
        # JSON has no NaN.
        result = {
            k: None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in result.items()
        }
        write_json(run.path / "evaluation.json", result)
        results[str(path)] = result
    _show(results, terminal)
    return results


def _in_batches(run: Run) -> Outputs:
    """The outputs of a run for raw inputs, a batch at a time."""
    size = run.config.train.evaluation_batch_size

    def outputs(x: np.ndarray) -> jax.Array:
        return jnp.concatenate([run.apply(x[i : i + size]) for i in range(0, len(x), size)])

    return outputs


def _scores(outputs: jax.Array, labels: np.ndarray) -> dict[str, float]:
    return {
        "error": 1 - float(accuracy(outputs, labels).mean()),
        "loss": float(softmax_cross_entropy(outputs, labels).mean()),
        "calibration_error": float(expected_calibration_error(outputs, labels)),
    }


def _corrupted(
    config: Config, outputs: Outputs, test: dict[str, np.ndarray], terminal: Progress
) -> dict[str, Any]:
    images = test["x"]
    if images.dtype != np.uint8 or images.ndim != 4:
        raise InputError(f"evaluate: samples {images.shape[1:]} {images.dtype} are no uint8 images")
    key = stream_key(jax.random.key(config.seed), Stream.CORRUPTION)
    errors: dict[str, list[float]] = {}
    calibration = []
    for i, (name, function) in enumerate(CORRUPTIONS.items()):
        errors[name] = []
        for severity in SEVERITIES:
            own = jax.random.fold_in(key, len(SEVERITIES) * i + severity)
            keys = jax.random.split(own, len(images))
            corrupt = jax.jit(jax.vmap(lambda k, x, f=function, s=severity: f(k, x, severity=s)))
            size = config.train.evaluation_batch_size
            parts = [
                np.asarray(corrupt(keys[j : j + size], images[j : j + size]))
                for j in range(0, len(images), size)
            ]
            scores = _scores(outputs(np.concatenate(parts)), test["y"])
            errors[name].append(scores["error"])
            calibration.append(scores["calibration_error"])
        terminal.say(f"  {name:<18} " + "  ".join(f"{e:6.1%}" for e in errors[name]))
    return {
        "corruption_errors": errors,
        "mean_corruption_error": float(np.mean(list(errors.values()))),
        "corruption_calibration_error": float(np.mean(calibration)),
    }


def _show(results: dict[str, dict[str, Any]], terminal: Progress) -> None:
    columns = {
        "error": "error",
        "calibration_error": "ECE",
        "mean_corruption_error": "corrupted",
        "corruption_calibration_error": "ECE corrupted",
    }
    shown = [c for c in columns if any(c in result for result in results.values())]
    rows = [
        [pathlib.Path(run).name, *(_percent(result.get(c)) for c in shown)]
        for run, result in results.items()
    ]
    terminal.columns("test split", ["run", *(columns[c] for c in shown)], rows)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
