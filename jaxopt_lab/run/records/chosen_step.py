"""Why a run is read, or goes on, at the checkpoint of a step."""

from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.folder import RunFolder
from jaxopt_lab.run.records.metrics_log import last_step


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
        # A run that is under way may have saved one more since.
        whole = checkpoint.whole_steps(folder.checkpoints)
        damaged = " and ".join(str(s) for s in newer if s not in whole)
        which = ", the newest whole checkpoint"
        which += f": that of step {damaged} is damaged" if damaged else " when it was read"
    else:
        which = ", the newest checkpoint"
    return f"step {step:,}{which}; {how_it_stands(folder)}"


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
