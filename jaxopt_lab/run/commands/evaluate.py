"""`jaxopt-lab evaluate`: trained runs on clean and on corrupted test images, side by side."""

import math
import os
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.augment.corruptions import CORRUPTIONS
from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.dump import toml_value
from jaxopt_lab.config.measures import chosen_loss
from jaxopt_lab.config.sections import Choice
from jaxopt_lab.config.source import read
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.metrics import ROBUST
from jaxopt_lab.core.rows import take_rows
from jaxopt_lab.core.types import Split
from jaxopt_lab.data import as_dataset
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.losses import categorical, expected_calibration_error
from jaxopt_lab.run.records.json_file import write_json
from jaxopt_lab.run.records.json_lines import finite
from jaxopt_lab.run.records.loading import load_run
from jaxopt_lab.run.records.pictures import require_plots, write_figure
from jaxopt_lab.run.records.run import Run, with_own_statistics
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.terminal.counting import counting
from jaxopt_lab.run.terminal.progress import Progress

SEVERITIES = (1, 2, 3, 4, 5)
HIDDEN = ("kept", "accuracy", "mean_corruption_accuracy", "corruption_losses", "corruption_errors")
"""Of a result not in the table: 1 less the error, and what is printed on the way."""
TITLES = {
    "calibration_error": "ECE",
    "mean_corruption_loss": "loss, corrupted",
    "mean_corruption_error": "error, corrupted",
    "mean_corruption_calibration_error": "ECE, corrupted",
}
Scores = dict[str, Any]


def evaluate_runs(
    runs: Sequence[str | os.PathLike[str]],
    *,
    corruptions: bool = False,
    samples: int | None = None,
    member: int | None = None,
    step: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    data: Any = None,
    terminal: Progress | None = None,
) -> dict[str, dict[str, Any]]:
    """Evaluate trained runs on their test splits, and print a table.

    Args:
      runs: folders of runs, or of sweeps.
      corruptions: also on the test images under each of 15 corruptions at 5 severities.
      samples: how many test images; None for all.
      member: of a sweep, which of its runs, from 0 as in `sweep.csv`; None for its best.
      step: of the checkpoints to evaluate; None for what each run kept at its end, or where it has
        not come to it for its newest checkpoint. Which it is is printed.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      data: samples to test on in place of the runs' test splits, all that `data.as_dataset` takes:
        its test split where it has one, else the whole. Names of classes are those of the run.
      terminal: where to print; None for nothing.

    Returns:
      For each run its own loss and metrics by their names, without penalties: `loss`, and of a
      classifier `accuracy` and `error`, which is 1 less that; `robust_accuracy` where it has an
      [adversary]; `calibration_error` (ECE, 15 bins) where its loss is of a softmax. With
      corruptions the mean of each over them, such as `mean_corruption_error`, and
      `corruption_losses` and `corruption_errors` (`{name: five of them}`); the target of an
      autoencoder stays the clean image. Errors are in [0, 1]. None for what is not finite, and for
      everything of a network whose outputs on clean images are not, as a diverged run's. The same
      is written to the run's `evaluation.json`, where it can be. `kept` and `step` say which
      parameters it is of, and of a sweep `member` of which run.

    Raises:
      InputError: where a folder holds no run of a named model, or images that cannot be
        corrupted.
    """
    if corruptions:
        require_plots()
    terminal = terminal or Progress(show=False)
    results: dict[str, dict[str, Any]] = {}
    losses = {}
    try:
        for path in runs:
            folder, run = pathlib.Path(path), load_run(path, step=step, member=member)
            losses[str(path)] = _loss_in_words(chosen_loss(run.config, run.signature))
            results[str(path)] = _result(
                folder, run, corruptions, samples, data_dir, data, terminal
            )
    finally:  # of the runs before one that cannot be evaluated, too
        if results:
            _show(results, losses, terminal)
    return results


def _result(
    path: pathlib.Path,
    run: Run,
    corruptions: bool,
    samples: int | None,
    data_dir: str | os.PathLike[str] | None,
    data: Any,
    terminal: Progress,
) -> dict[str, Any]:
    """What a run scores, written to its folder where it can be."""
    if data is None:
        (RunFolder if run.member is None else SweepFolder)(path).require_given(False)
    given = None if data is None else as_dataset(data, classes=run.classes)
    test = given and (given.test or given.train)
    if given is None or run.state is not None:  # batch statistics are of the training split
        own = given if run.signature.origin == "python" else None
        source = read(run.config, data_dir=data_dir, data=own)
        run = with_own_statistics(run, assemble(run.config, source))
        test = test or source.test
    test = {k: take_rows(v, slice(samples)) for k, v in (test or {}).items()}
    terminal.say(f"{path}: {run.why}")
    with terminal.waiting(f"evaluating {path} ..."):
        result: dict[str, Any] = _scores(run, test) | _attacked(run, test)
    if not math.isfinite(result["loss"]):
        result = dict.fromkeys(result)
        terminal.say(f"{path}: the outputs are not finite: the run diverged")
    elif corruptions:
        result |= _corrupted(run, test, result, terminal)
    which = {"kept": run.kept, "step": run.step}
    result = which | ({} if run.member is None else {"member": run.member}) | finite(result)
    try:
        write_json(path / "evaluation.json", result)
    except OSError as error:  # a folder of somebody else, say: it is printed all the same
        terminal.say(f"{path / 'evaluation.json'} is not written: {error.strerror}")
    return result


def _scores(run: Run, data: Split) -> Scores:
    """The run's own loss and metrics, and what follows from its outputs."""
    experiment, outputs = run.experiment, run.apply(data["x"])
    found = experiment.scores(outputs, {k: jnp.asarray(v) for k, v in data.items() if k != "x"})
    scores: Scores = {name: value.tolist() for name, value in found.items()}
    if not bool(jnp.isfinite(outputs).all()):
        scores["loss"] = math.nan  # a metric may make a number of them
    if "accuracy" in scores:
        scores = {"error": 1 - scores["accuracy"], **scores}
    if declared(experiment.objective.loss).sampler is categorical:
        error = expected_calibration_error(outputs, jnp.asarray(data["y"]))
        scores["calibration_error"] = float(error)
    return scores


def _attacked(run: Run, data: Split) -> Scores:
    """The metrics on the images of the run's own adversary; none where it has none."""
    if run.config.adversary is None:
        return {}
    evaluate = run.experiment.evaluator(False, run.experiment.forward)
    found = evaluate(run.params, run.model_state, run.experiment.batches(data))
    return {name: float(value) for name, value in found.items() if name.startswith(ROBUST)}


def _corrupted(run: Run, test: Split, clean: Scores, terminal: Progress) -> dict[str, Any]:
    images = test["x"]
    if images.dtype != np.uint8 or images.ndim != 4:
        raise InputError(
            "evaluate: --corruptions is of uint8 images, got samples "
            f"{images.shape[1:]} {images.dtype}: leave it out"
        )
    key = stream_key(jax.random.key(run.config.seed), Stream.CORRUPTION)
    size = run.config.train.evaluation_batch_size
    scores: dict[str, list[Scores]] = {}
    with counting(terminal, len(CORRUPTIONS) * len(SEVERITIES), "corrupted tests") as advance:
        for i, (name, function) in enumerate(CORRUPTIONS.items()):
            scores[name] = []
            for severity in SEVERITIES:
                own = jax.random.fold_in(key, len(SEVERITIES) * i + severity)
                keys = jax.random.split(own, len(images))
                corrupt = jax.jit(
                    jax.vmap(lambda k, x, f=function, s=severity: f(k, x, severity=s))
                )
                parts = [
                    np.asarray(corrupt(keys[j : j + size], images[j : j + size]))
                    for j in range(0, len(images), size)
                ]
                scores[name].append(_scores(run, test | {"x": np.concatenate(parts)}))
                advance(1)
    _show_corrupted(run, scores, clean, terminal)
    every = [row for rows in scores.values() for row in rows]
    found: dict[str, Any] = {
        f"mean_corruption_{score}": float(np.mean([row[score] for row in every]))
        for score in every[0]
    }
    for plural, score in {"losses": "loss", "errors": "error"}.items():
        if score in every[0]:
            values = {name: [row[score] for row in rows] for name, rows in scores.items()}
            found[f"corruption_{plural}"] = values
    return found


def _show_corrupted(
    run: Run, scores: Mapping[str, Sequence[Scores]], clean: Scores, terminal: Progress
) -> None:
    """Print the error, or the loss, by corruption and severity; draw it into the run's folder."""
    score = "error" if "error" in clean else "loss"
    values = {name: [row[score] for row in rows] for name, rows in scores.items()}
    rows = [
        [name.replace("_", " "), *(_number(score, value) for value in own)]
        for name, own in values.items()
    ]
    rows.append(["clean", _number(score, clean[score])] + [""] * (len(SEVERITIES) - 1))
    title = f"{run.path}: {score} by severity"
    terminal.columns(title, ["corruption", *map(str, SEVERITIES)], rows)
    try:
        from jaxopt_lab.plots import corruption_table  # here: matplotlib takes long to import
    except ImportError:  # numbers need no extra
        return
    given = {"scores": values, "clean": clean[score], "name": score, "share": score == "error"}
    assert run.path is not None
    plots = run.path / "plots"
    try:
        plots.mkdir(exist_ok=True)
        write_figure(plots / "corruptions.png", corruption_table(given))
    except OSError as error:  # a folder of somebody else
        terminal.say(f"{plots} is not written: {error.strerror}")
    else:
        terminal.say(f"wrote {plots / 'corruptions.png'}")


def _loss_in_words(loss: Choice) -> str:
    """The name of a run's loss, and its arguments where they are not the defaults."""
    arguments = FAMILIES["loss"].arguments(loss.name)
    given = {k: v for k, v in loss.arguments.items() if v != arguments[k].default}
    words = ", ".join(f"{k} = {toml_value(v)}" for k, v in given.items())
    return f"{loss.name} ({words})" if words else loss.name


def _show(
    results: Mapping[str, dict[str, Any]], losses: Mapping[str, str], terminal: Progress
) -> None:
    """A row a run, each with the name of what its loss is."""
    found = list(dict.fromkeys(name for result in results.values() for name in result))
    arrays = {k for result in results.values() for k, v in result.items() if isinstance(v, list)}
    columns = [name for name in found if name not in HIDDEN and name not in arrays]
    names = _names(list(results))
    head = ["run", "kept", *(TITLES.get(name, name) for name in columns), "the loss is"]
    rows = [
        [
            names[run],
            result["kept"],
            *(_number(name, result.get(name)) for name in columns),
            losses[run],
        ]
        for run, result in results.items()
    ]
    table = [head, *rows]
    width = sum(max(len(row[i]) for row in table) + 3 for i in range(len(head))) + 1
    if width > terminal.console.width:  # a row a score
        table = [list(column) for column in zip(*table, strict=True)]
    terminal.columns("test split", table[0], table[1:])


def _number(name: str, value: float | None) -> str:
    """A fraction in percent, another number as it is."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    percent = name.endswith(("error", "accuracy"))
    return f"{value:.2%}" if percent else f"{value:.4g}"


def _names(runs: Sequence[str]) -> dict[str, str]:
    """The last part of each path where it tells the runs apart, else the path as it was given."""
    last = {run: pathlib.Path(run).resolve().name for run in runs}
    count = Counter(last.values())
    return {run: name if count[name] == 1 else run for run, name in last.items()}
