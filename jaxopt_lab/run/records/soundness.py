"""What of a folder is not what was written into it, by its own hashes."""

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.folder import RUN, SWEEP
from jaxopt_lab.run.records.json_lines import read_vouched_lines
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.seal import broken
from jaxopt_lab.run.records.sweep_folder import SweepFolder


class Fault(NamedTuple):
    """A file that is not what was written.

    Attributes:
      file: its path in the folder.
      state: "damaged", "missing", or "unfinished" of a checkpoint whose manifest never came.
      then: what follows from it, in words.
    """

    file: str
    state: str
    then: str


_OF_FILE = {
    "seal.json": "nothing vouches for the configuration and the summary; --resume goes on",
    "summary.json": "--resume writes it again",
    "metrics.jsonl": "--resume writes again what comes after the newest checkpoint before it",
    "sweep.csv": "--resume writes it again",
    "best.toml": "--resume writes it again",
}
_AGAIN = "put it back from a copy"


def faults_of(path: pathlib.Path) -> list[Fault]:
    """What is wrong with the folder of a run or a sweep; empty where all is what was written.

    Plots, the report and `timings.jsonl` are vouched for by nothing.

    Raises:
      InputError: where it holds neither.
    """
    for name, folder in ((RUN, RunFolder(path)), (SWEEP, SweepFolder(path))):
        if folder.config.exists() or (name in broken(path)):
            found = [Fault(f, s, _OF_FILE.get(f, _AGAIN)) for f, s in broken(path).items()]
            more = _of_run(folder) if isinstance(folder, RunFolder) else _of_sweep(folder)
            return sorted({fault.file: fault for fault in [*more, *found]}.values())
    there = "holds neither a run nor a sweep" if path.is_dir() else "is no folder"
    raise InputError(f"{path} {there}: give the folder that --run-dir named")


def _of_run(folder: RunFolder) -> Iterator[Fault]:
    whole = checkpoint.vouched_beside(folder.checkpoints)
    then = "none is whole: only a copy helps"
    if whole:
        then = f"--resume goes on from step {max(whole):,}, the newest whole one"
    yield from _of_checkpoints(folder.path, folder.checkpoints, then)
    for step in sorted(whole):
        if not folder.log_holds(whole[step]):
            then = "--resume tells what of it is lost"
            state = "damaged" if folder.metrics.exists() else "missing"
            yield Fault(folder.metrics.name, state, f"before step {step:,}: {then}")
            break
    again = "--resume writes it again"
    for place in (folder.kept, folder.ensemble):
        yield from _of_checkpoints(folder.path, place, again)
    summary = folder.last_summary()
    gone = [folder.kept] if "kept" in summary else []
    gone += [folder.ensemble] if "members" in summary else []
    for place in gone:
        if not checkpoint.steps(place):
            yield Fault(_within(folder.path, place), "missing", again)


def _of_sweep(folder: SweepFolder) -> Iterator[Fault]:
    again = "--resume trains its runs again"
    rows = list(read_vouched_lines(folder.runs))
    if any(row is None for row in rows):
        yield Fault(folder.runs.name, "damaged", again)
    waves = {row["wave"]: row for row in rows if row is not None}
    for wave in sorted(waves):
        place = folder.place_of_wave(wave)
        if not place.is_dir():
            yield Fault(_within(folder.path, place), "missing", again)
        else:
            yield from _of_checkpoints(folder.path, place, again)
    if folder.progress.is_dir():
        for place in sorted(folder.progress.iterdir()):
            yield from _of_checkpoints(folder.path, place, "--resume begins with these runs anew")


def _of_checkpoints(root: pathlib.Path, place: pathlib.Path, then: str) -> Iterator[Fault]:
    whole = checkpoint.whole_steps(place)
    for step in checkpoint.steps(place):
        if step not in whole:
            yield Fault(f"{_within(root, place)}/step-{step:08d}", "damaged", then)
    for step in checkpoint.unfinished_steps(place):
        yield Fault(f"{_within(root, place)}/step-{step:08d}", "unfinished", then)


def _within(root: pathlib.Path, path: pathlib.Path) -> str:
    return path.relative_to(root).as_posix()
