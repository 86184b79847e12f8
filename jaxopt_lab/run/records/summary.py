"""What `summary.json` holds."""

from typing import Any

import jax

from jaxopt_lab.core.metrics import SKIPPED, held_out
from jaxopt_lab.engine import Experiment, Finish, TrainState
from jaxopt_lab.run.records.find_lost import Lost
from jaxopt_lab.run.records.fit import judge_fit
from jaxopt_lab.run.records.json_lines import finite, shortest
from jaxopt_lab.run.records.run_writer import RunWriter
from jaxopt_lab.run.records.same_fusions import XLA


def summarize(
    experiment: Experiment,
    state: TrainState,
    writer: RunWriter,
    ended: Finish | None,
    stopped_by: str,
    lost: Lost | None = None,
) -> dict[str, Any]:
    """The figures of a run that has stopped.

    Args:
      experiment: of the run.
      state: that it has stopped at.
      writer: of the run.
      ended: None where it did not come to its end.
      stopped_by: as of `Result`.
      lost: where its first number appeared that is not finite; None where that is not known.
    """
    timings, steps = writer.timings, writer.log.steps
    seconds, taken = timings.total("seconds"), timings.total("steps")
    summary: dict[str, Any] = {
        "test": ended.tests[ended.kept] if ended else {},
        "steps": steps,
        "epochs": round(steps / experiment.steps_per_epoch, 3),
        "steps_per_second": round(taken / seconds, 2) if seconds else None,
        "train_seconds": round(seconds, 3),
        "data_wait_seconds": round(timings.total("data_wait_seconds"), 3),
        "compile_seconds": round(timings.total("compile_seconds"), 3),
        "run_seconds": round(timings.run_seconds, 3),
        "stopped_by": stopped_by,
        "parameters": sum(x.size for x in jax.tree.leaves(state.params)),
        "device": jax.devices()[0].device_kind,
        XLA: writer.xla,
    }
    if ended:
        summary["kept"] = ended.kept
        summary["kept_step"] = ended.step
        summary["tests"] = ended.tests
        if ended.members:
            summary["members"] = len(jax.tree.leaves(ended.members)[0])
    if (skipped := writer.log.last(SKIPPED)) is not None:
        summary[SKIPPED] = int(skipped)
    if lost:
        first = lost.first
        summary["not_finite"] = {**first._asdict(), "in_a_row": max(1, lost.in_a_row)}
    diverged = lost.sentence if lost else stopped_by == "diverged"
    fit = judge_fit(experiment, writer.log.outline(), diverged=diverged)
    summary["fit"] = finite(fit._asdict())
    watched = [*experiment.objective.measures, *experiment.whole, "loss"]
    found = ((name, writer.log.best(name)) for name in held_out(watched))
    name, best = next(((name, best) for name, best in found if best), ("", None))
    if best:  # of the first metric that evaluations have
        (value,), step = shortest([best[0]]), best[1]
        summary["best"] = {"metric": name, "value": value, "step": step}
    return summary
