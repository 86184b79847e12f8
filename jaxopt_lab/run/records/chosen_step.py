"""Why a run is read, or goes on, at the checkpoint of a step."""

import warnings
from collections.abc import Mapping
from typing import Any

from jaxopt_lab.core.errors import DamageWarning
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.json_lines import read_lines
from jaxopt_lab.run.records.metrics_log import last_step
from jaxopt_lab.run.records.run_folder import RunFolder


def why_this_step(folder: RunFolder, step: int, asked: int | None) -> str:
    """What a checkpoint is of a run, in words: "step 200, the newest checkpoint; ...".

    Args:
      folder: of the run.
      step: of the checkpoint that was restored.
      asked: the step that was asked for; None where the newest whole one was.
    """
    newer = [s for s in checkpoint.steps(folder.checkpoints) if s > step]
    if asked is not None:
        which = ", as asked" + (f", though there is one of step {newer[0]}" if newer else "")
    elif newer:
        which = ", the newest whole checkpoint"
    else:
        which = ", the newest checkpoint"
    return f"step {step:,}{which}; {how_it_stands(folder)}"


def tell_of_damage(folder: RunFolder, step: int, beside: Mapping[int, Any]) -> None:
    """Say what is lost to a run that goes on from the checkpoint of a step.

    Args:
      folder: of the run.
      step: of the checkpoint that was restored.
      beside: of `checkpoint.vouched_beside`.

    Warns:
      DamageWarning: where an older checkpoint is damaged, the one that the run ended with is not
        there, or the log is not what they vouch for.
    """
    tell_of_missing(folder, step)
    place = folder.checkpoints
    there = [*checkpoint.steps(place), *checkpoint.unfinished_steps(place)]
    if lost := ", ".join(f"{s:,}" for s in sorted(there) if s < step and s not in beside):
        warnings.warn(
            f"{place}: the older checkpoint of step {lost} is damaged; the run does "
            f"not need it, and goes on from step {step:,}",
            DamageWarning,
            stacklevel=2,
        )
    until = max((s for s, its in beside.items() if folder.log_holds(its)), default=0)
    wrong = min((s for s in beside if s > until), default=None)
    if wrong is None:
        return
    if step <= until:
        then = f"the run goes on from step {step:,}, and what comes after it is written again"
    else:
        lines = folder.metrics.read_bytes().count(b"\n") if folder.metrics.exists() else 0
        lost = lines - sum(1 for _ in read_lines(folder.metrics))
        then = "some of its numbers are wrong" if lines else "its rows are lost"
        if lost > 0:
            then = f"{lost} of its rows {'are' if lost > 1 else 'is'} lost"
        then += f"; the parameters are not damaged, and the run goes on from step {step:,}"
    warnings.warn(
        f"{folder.metrics} is not what was written before step {wrong:,}: {then}",
        DamageWarning,
        stacklevel=2,
    )


def tell_of_missing(folder: RunFolder, step: int) -> None:
    """Say where a run goes on from a step though it had come to its end.

    Warns:
      DamageWarning: where the checkpoint that it ended with is not there.
    """
    ended, there = folder.ended_at, checkpoint.steps(folder.checkpoints)
    if ended is not None and ended > step and ended not in there:
        warnings.warn(
            f"{folder.checkpoints}: the checkpoint of step {ended:,}, with which the run ended, is "
            f"missing: the steps after {step:,} are taken again",
            DamageWarning,
            stacklevel=3,
        )


def how_it_stands(folder: RunFolder) -> str:
    """How far a run has come and how it ended, in words."""
    summary = folder.last_summary()
    steps, logged = summary.get("steps", 0), last_step(folder.metrics)
    if logged > steps:
        return f"the run has not ended, and its log goes to step {logged:,}"
    return how_it_ended(summary.get("stopped_by", ""), steps)


def how_it_ended(stopped_by: str, steps: int) -> str:
    """How a run ended, in words: "the run finished at step 200"."""
    ways = {
        "finished": "the run finished at step",
        "early_stopping": "the run stopped early at step",
        "interrupted": "the run was interrupted at step",
        "diverged": "the run diverged at or before step",
    }
    return f"{ways.get(stopped_by, 'the run stands at step')} {steps:,}"
