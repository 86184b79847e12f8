"""`jaxopt-lab prune`: remove checkpoints that nobody goes on from."""

import pathlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.overview import find_overviews, size_in_words
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.terminal.progress import Progress

Keep = Literal["best", "last"] | int


class Prunable(NamedTuple):
    """What may be removed of a run.

    Attributes:
      path: the folder of the run.
      steps: whose checkpoints go.
      size: of these, in bytes.
      why: nothing goes, in words; "" where something does.
    """

    path: pathlib.Path
    steps: tuple[int, ...]
    size: int
    why: str = ""


def find_prunable(root: pathlib.Path, keep: Keep) -> list[Prunable]:
    """What `prune` would remove, run by run; nothing is touched.

    Args:
      root: a folder of runs, or that of one.
      keep: "best" for what a run kept at its end, the parameters that `load_run` reads, and no
        checkpoint; "last" for its newest whole checkpoint too, to go on from; or how many of those.

    Raises:
      InputError: where there is no such folder, or `keep` is less than 1.
    """
    if keep not in ("best", "last") and (isinstance(keep, str) or keep < 1):
        raise InputError(f"prune: --keep must be best, last or a number >= 1, got {keep}")
    return [
        _of_run(RunFolder(found.path), found.state, keep)
        for found in find_overviews(root)
        if found.kind == "run"
    ]


def prune(found: Sequence[Prunable]) -> None:
    """Remove what was found; of a run that was begun again meanwhile nothing."""
    for each in found:
        if each.steps:
            folder = RunFolder(each.path)
            with folder.locked():
                folder.drop(each.steps)


def show_prunable(found: Sequence[Prunable], terminal: Progress) -> bool:
    """Print what would go of each run; whether that is anything."""
    rows = [
        (str(r.path), _steps(r) or r.why, size_in_words(r.size) if r.steps else "") for r in found
    ]
    count, size = sum(len(run.steps) for run in found), sum(run.size for run in found)
    title = f"{count} checkpoint{'s' * (count != 1)} to remove, {size_in_words(size)}"
    terminal.columns(title, ("run", "checkpoints of the steps", "size"), rows)
    return count > 0


def _steps(found: Prunable) -> str:
    return ", ".join(f"{step:,}" for step in sorted(found.steps))


def _of_run(folder: RunFolder, state: str, keep: Keep) -> Prunable:
    if state == "running":
        return Prunable(folder.path, (), 0, "it is running")
    there = checkpoint.steps(folder.checkpoints)
    if not there:
        return Prunable(folder.path, (), 0, "it has none")
    ended = state not in ("damaged", "not ended") and bool(checkpoint.whole_steps(folder.kept))
    wanted = {"best": 0, "last": 1}[keep] if isinstance(keep, str) else keep
    if not ended:  # all that it has
        wanted = max(wanted, 1)
    whole = checkpoint.whole_steps(folder.checkpoints)
    kept = set(whole[:wanted]) if whole else set(there)
    gone = tuple(step for step in there if step not in kept)
    why = "" if gone else "nothing is to go" if ended else "it has not ended, and goes on from it"
    return Prunable(folder.path, gone, checkpoint.size_of(folder.checkpoints, gone), why)
