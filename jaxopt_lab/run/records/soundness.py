"""What of a folder is not what was written into it, by its own hashes."""

import pathlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.folder import RUN, SWEEP
from jaxopt_lab.run.records.json_file import AGAIN
from jaxopt_lab.run.records.json_lines import read_vouched_lines
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.seal import broken
from jaxopt_lab.run.records.sweep_folder import SweepFolder


class Fault(NamedTuple):
    """A file that is not what was written.

    Attributes:
      file: its path in the folder.
      state: "damaged", "missing", of a checkpoint "of another version", or "unfinished" where its
        manifest never came.
      then: what follows from it, in words.
    """

    file: str
    state: str
    then: str


_OF_FILE = {
    "seal.json": "nothing vouches for the configuration and the summary; --resume goes on",
    "summary.json": "--resume writes it again",
    "metrics.jsonl": "--resume tells what of it is lost, and writes the rest again",
    "runs.jsonl": "--resume trains again what it lacks",
    "sweep.csv": "--resume writes it again",
    "best.toml": "--resume writes it again",
}


def faults_of(path: pathlib.Path) -> list[Fault]:
    """What is wrong with the folder of a run or a sweep; empty where all is what was written.

    Plots, the report and `timings.jsonl` are vouched for by nothing.

    Raises:
      InputError: where it holds neither.
    """
    for name, folder in ((RUN, RunFolder(path)), (SWEEP, SweepFolder(path))):
        if folder.config.exists() or (name in broken(path)):
            states = broken(path)
            found = [Fault(f, s, _OF_FILE.get(f, AGAIN)) for f, s in states.items() if "/" not in f]
            is_run = isinstance(folder, RunFolder)
            more = _of_run(folder, states) if is_run else _of_sweep(folder)
            # What the second says of the same file says more.
            return sorted({fault.file: fault for fault in [*found, *more]}.values())
    there = "holds neither a run nor a sweep" if path.is_dir() else "is no folder"
    raise InputError(f"{path} {there}: give the folder that --run-dir named")


def _of_run(folder: RunFolder, states: Mapping[str, str]) -> Iterator[Fault]:
    whole = checkpoint.vouched_beside(folder.checkpoints)
    if whole := {s: its for s, its in whole.items() if folder.manifest(s) not in states}:
        then = f"--resume goes on from step {max(whole):,}, the newest whole one"
    elif checkpoint.steps(folder.checkpoints):
        then = "none is whole: put them back from a copy, or remove them to start over"
    else:
        then = "there is no other: put it back from a copy; --resume starts over"
    yield from _of_checkpoints(folder.path, folder.checkpoints, then, states)
    for step in sorted(whole):
        if not folder.log_holds(whole[step]):
            then = "--resume tells what of it is lost"
            state = "damaged" if folder.metrics.exists() else "missing"
            yield Fault(folder.metrics.name, state, f"before step {step:,}: {then}")
            break
    again = "--resume writes it again"
    for place in (folder.kept, folder.ensemble):
        yield from _of_checkpoints(folder.path, place, again, states)
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


def _of_checkpoints(
    root: pathlib.Path,
    place: pathlib.Path,
    then: str,
    states: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Fault]:
    """By their own hashes, and by what a seal says of their manifests."""
    stem, whole = f"{_within(root, place)}/step-", checkpoint.whole_steps(place)
    others = checkpoint.other_formats(place)
    for name, state in states.items():
        if name.rpartition("-")[0] + "-" == stem and state == "missing":
            yield Fault(name.removesuffix(".json"), state, then)
    for step in checkpoint.steps(place):
        name = f"{stem}{step:08d}"
        if step in others:
            why = f"it is of format {others[step]}: use the version of jaxopt_lab that wrote it"
            yield Fault(name, "of another version", why)
        elif step not in whole or f"{name}.json" in states:
            yield Fault(name, "damaged", then)
    for step in checkpoint.unfinished_steps(place):
        yield Fault(f"{stem}{step:08d}", "unfinished", then)


def _within(root: pathlib.Path, path: pathlib.Path) -> str:
    return path.relative_to(root).as_posix()
