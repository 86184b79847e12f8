"""What is said before a run and after it."""

from typing import Any

import jax
import numpy as np

from jaxopt_lab.config.build import Experiment
from jaxopt_lab.engine.program import Program
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.run.finish import Finish
from jaxopt_lab.run.folder import RunFolder
from jaxopt_lab.run.log import MetricsLog, Timings
from jaxopt_lab.run.progress import Progress


def opening(
    experiment: Experiment,
    program: Program,
    state: TrainState,
    folder: RunFolder | None,
    compile_seconds: float,
) -> str:
    """What is about to be trained, on what, and where it is written."""
    start = int(state.step)
    parameters = sum(x.size for x in jax.tree.leaves(state.params))
    source = experiment.config.data.source.name
    held = len(experiment.validation["y"]) if experiment.validation else 0
    how = "compiled loop" if program.in_loop else "one step a dispatch"
    lines = [
        f"{source}: {len(experiment.train['y']):,} train, {held:,} validation, "
        f"{len(experiment.test['y']):,} test; {parameters:,} parameters",
        f"compiled in {compile_seconds:.1f} s ({how}, {jax.default_backend()})"
        + (f"; writing to {folder.path}" if folder else ""),
    ]
    if start:
        lines.append(f"resuming at step {start:,} of {experiment.total_steps:,}")
    return "\n".join(lines)


def summarize(
    experiment: Experiment,
    state: TrainState,
    log: MetricsLog,
    timings: Timings,
    ended: Finish | None,
    stopped_by: str,
    run_seconds: float,
) -> dict[str, Any]:
    """What `summary.json` holds."""
    history = log.history()
    steps = int(state.step)
    seconds = timings.total("seconds")
    taken = timings.total("steps")
    summary: dict[str, Any] = {
        "test": ended.tests[ended.kept] if ended else {},
        "steps": steps,
        "epochs": round(steps / experiment.steps_per_epoch, 3),
        "steps_per_second": round(taken / seconds, 2) if seconds else None,
        "compile_seconds": round(timings.total("compile_seconds"), 3),
        "run_seconds": round(run_seconds, 3),
        "stopped_by": stopped_by,
        "parameters": sum(x.size for x in jax.tree.leaves(state.params)),
        "device": jax.devices()[0].device_kind,
    }
    if ended:
        summary["kept"] = ended.kept
        summary["tests"] = ended.tests
    if "val_accuracy" in history:
        best = int(np.nanargmax(np.append(history["val_accuracy"], -1.0)))
        if best < len(history["val_accuracy"]):
            summary["best_val_accuracy"] = float(str(history["val_accuracy"][best]))
            summary["best_val_step"] = int(history["eval_step"][best])
    return summary


def verdict(see: Progress, summary: dict[str, Any], folder: RunFolder | None) -> None:
    """Print the closing table."""
    rows = {}
    if summary["test"]:
        if "accuracy" in summary["test"]:
            rows["test accuracy"] = f"{summary['test']['accuracy']:.2%}"
        rows["test loss"] = f"{summary['test']['loss']:.4f}"
        if "robust_accuracy" in summary["test"]:
            rows["test accuracy, attacked"] = f"{summary['test']['robust_accuracy']:.2%}"
    for name, test in summary.get("tests", {}).items():
        if len(summary["tests"]) > 1:
            kept = " (kept)" if name == summary["kept"] else ""
            accuracy = f"{test['accuracy']:.2%}, " if "accuracy" in test else ""
            rows[f"  {name}"] = f"{accuracy}loss {test['loss']:.4f}{kept}"
    if "best_val_accuracy" in summary:
        best = summary["best_val_accuracy"]
        rows["best validation"] = f"{best:.2%} at step {summary['best_val_step']:,}"
    rows["steps"] = f"{summary['steps']:,} ({summary['epochs']:g} epochs)"
    if summary["steps_per_second"]:
        rows["steps a second"] = f"{summary['steps_per_second']:,.4g}"
    rows["compile"] = f"{summary['compile_seconds']:.1f} s"
    rows["whole run"] = f"{summary['run_seconds']:.1f} s"
    if folder:
        rows["report"] = str(folder.report)
    stopped_by = summary["stopped_by"]
    test = summary["test"]
    result = f"test accuracy {test['accuracy']:.2%}" if "accuracy" in test else ""
    result = result or (f"test loss {test['loss']:.4f}" if test else "")
    title = {
        "finished": f"finished: {result}",
        "early_stopping": f"stopped early at step {summary['steps']:,}: {result}",
        "interrupted": f"interrupted at step {summary['steps']:,}"
        + (f"; continue with --resume {folder.path}" if folder else ""),
        "diverged": f"diverged at or before step {summary['steps']:,}: the parameters are not "
        "finite; try a smaller learning rate",
    }[stopped_by]
    see.closing_table(title, rows, good=stopped_by in ("finished", "early_stopping"))
