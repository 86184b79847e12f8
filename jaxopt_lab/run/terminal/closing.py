"""What is said before a run and after it."""

import shutil
from typing import Any

import jax

from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.readable import as_typed
from jaxopt_lab.engine import Experiment, TrainState, checkpoint
from jaxopt_lab.engine.finishing import statistics_batches
from jaxopt_lab.engine.watched import needs_statistics
from jaxopt_lab.run.records.overview import size_in_words
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.scores import headline, in_words, label, numbers_of
from jaxopt_lab.run.terminal.progress import Progress, wait_in_words

_SMALLER = "try a smaller learning rate"


def opening(
    config: Config,
    experiment: Experiment,
    state: TrainState,
    start: int,
    how: str,
    folder: RunFolder | None,
) -> list[str]:
    """What is about to be trained, on what, and where it is written, in lines."""
    parameters = sum(x.size for x in jax.tree.leaves(state.params))
    held = len(experiment.validation["y"]) if experiment.validation else 0
    lines = [
        f"{config.data.source.name}: {len(experiment.train['y']):,} train, {held:,} validation, "
        f"{len(experiment.test['y']):,} test; {parameters:,} parameters",
        how + (f"; writing to {folder.path}" if folder else ""),
    ]
    if experiment.watches:
        passes = statistics_batches(experiment)
        text = f"evaluations are of {experiment.watches}"
        if needs_statistics(experiment, state.model_state):
            text += f", each with batch statistics of {passes} batches, estimated for it"
        lines.append(text)
    if folder:
        lines.append(_disk(config, experiment, state, folder))
    if start:
        lines.append(f"resuming at step {start:,} of {experiment.total_steps:,}")
    return lines


def _disk(config: Config, experiment: Experiment, state: TrainState, folder: RunFolder) -> str:
    """What the checkpoints of a run take, and whether the disk has room for one."""
    each, keep = checkpoint.size_ahead(state), config.train.keep
    count = -(-experiment.total_steps // experiment.checkpoint_every)
    if keep != "all":
        count = min(count, keep)
    stay = "all stay" if keep == "all" else f"the newest {keep} stay"
    text = f"a checkpoint takes {size_in_words(each)}; {stay}: {size_in_words(count * each)}"
    free = shutil.disk_usage(folder.path).free
    if free < each:
        text += f"; {folder.path} HAS ROOM FOR {size_in_words(free)} ONLY: the first will fail"
    elif free < (count + 1) * each:  # one is written before one goes
        text += f"; {folder.path} has room for {size_in_words(free)} only"
    return text


def verdict(terminal: Progress, summary: dict[str, Any], folder: RunFolder | None) -> None:
    """Print the closing table."""
    rows = {}
    test = summary["test"]
    if summary.get("kept_step", summary["steps"]) != summary["steps"]:
        rows["kept"] = f"the {summary['kept']}, of step {summary['kept_step']:,}"
    rows |= {f"test {label(name)}": in_words(name, v) for name, v in numbers_of(test).items()}
    for name, found in summary.get("tests", {}).items():
        if len(summary["tests"]) > 1:
            kept = " (kept)" if name == summary["kept"] else ""
            rows[f"  {name}"] = f"{_brief(found)}{kept}"
    if best := summary.get("best"):
        name, value, step = best["metric"], best["value"], best["step"]
        rows["best validation"] = f"{in_words(name, value)} at step {step:,}"
    if summary["fit"]["evidence"]:
        rows["fit"] = summary["fit"]["brief"]
    if summary.get("skipped"):
        rows["steps left out"] = f"{summary['skipped']:,}, which were not finite"
    rows["steps"] = f"{summary['steps']:,} ({summary['epochs']:g} epochs)"
    if summary["steps_per_second"]:
        waits = wait_in_words(summary["data_wait_seconds"], summary["train_seconds"])
        rows["steps a second"] = f"{summary['steps_per_second']:,.4g}" + (waits and f" ({waits})")
    rows["compile"] = f"{summary['compile_seconds']:.1f} s"
    rows["whole run"] = f"{summary['run_seconds']:.1f} s"
    if folder:
        rows["report"] = str(folder.report)
    stopped_by = summary["stopped_by"]
    result = headline(test)
    title = {
        "finished": f"finished: {result}",
        "early_stopping": f"stopped early at step {summary['steps']:,}: {result}",
        "interrupted": f"interrupted at step {summary['steps']:,}"
        + (f"; continue with --resume {as_typed(folder.path)}" if folder else ""),
        "diverged": _divergence(summary),
    }[stopped_by]
    terminal.closing_table(title, rows, good=stopped_by in ("finished", "early_stopping"))


def _divergence(summary: dict[str, Any]) -> str:
    lost = summary.get("not_finite")
    at = f"at step {lost['step']:,}" if lost else f"at or before step {summary['steps']:,}"
    remedy = "look at the data" if lost and "of the batch" in lost["what"] else _SMALLER
    text = f"diverged {at}: {summary['fit']['sentence']} {remedy.capitalize()}"
    if summary["test"]:
        text += f"; the {summary['kept']} of step {summary['kept_step']:,} are kept"
    if (last := summary.get("last_good")) is not None:
        text += f"; the last good checkpoint, of step {last:,}, is kept"
    return text


def _brief(test: dict[str, Any]) -> str:
    """The first metric and the loss: "97.22%, loss 0.1234"."""
    name, *rest = numbers_of(test)
    first = f"{in_words(name, test[name])}, " if rest else ""
    return f"{first}loss {test['loss']:.4f}"
