"""What the folder of a run or a sweep says of itself, read without its data, model or module."""

import contextlib
import csv
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jaxopt_lab.config.tables import better
from jaxopt_lab.config.toml import read_toml
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.records.folder import KINDS, SWEEP, is_in_use
from jaxopt_lab.run.records.json_lines import numbers, read_lines
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.scores import numbers_of

_DEPTH = 3  # of folders within folders that are looked through


class Overview(NamedTuple):
    """A run or a sweep.

    Attributes:
      path: of its folder.
      kind: "run" or "sweep".
      tables: its configuration as the tables of its file.
      state: "running", "finished", "stopped early", "interrupted", "diverged", or "not ended" where
        it was killed; "damaged" where its files cannot be read.
      steps: that it took; of a sweep how many of its runs have ended.
      test: scores of its test split; of a sweep those of its best run.
      best: the metric that is watched, and its best value: of a run on the validation split, of a
        sweep what it is compared by; None where there is none.
      changed: when its newest file was written, in seconds since 1970.
      size: in bytes.
    """

    path: pathlib.Path
    kind: str
    tables: Mapping[str, Any]
    state: str
    steps: int
    test: Mapping[str, float]
    best: tuple[str, float] | None
    changed: float
    size: int

    @property
    def score(self) -> tuple[str, float] | None:
        """What it is told by: the first metric of its test, or else the best it has measured."""
        first = next(iter(self.test.items()), None)
        return self.best if first is None else (f"test {first[0]}", first[1])

    @property
    def values(self) -> dict[str, Any]:
        """Every value of its configuration by its path, "optimizer.name", and what is said here."""
        found = dict(flat(self.tables))
        found |= {"name": self.path.name, "kind": self.kind, "state": self.state}
        found |= {"steps": self.steps, "size": self.size}
        return found | {f"test.{name}": value for name, value in self.test.items()}


def find_overviews(root: pathlib.Path) -> list[Overview]:
    """The runs and sweeps in a folder and the folders in it, by name.

    Raises:
      InputError: where there is no such folder.
    """
    if not root.is_dir():
        raise InputError(f"{root} is no folder; give the one that holds the runs")
    return [overview_of(path) for path in sorted(_folders(root, _DEPTH))]


def overview_of(path: str | os.PathLike[str]) -> Overview:
    """What a folder says of itself.

    Raises:
      InputError: where it holds neither a run nor a sweep.
    """
    path = pathlib.Path(path)
    config = next((name for name in KINDS if (path / name).is_file()), None)
    if config is None:
        there = "holds neither a run nor a sweep" if path.is_dir() else "is no folder"
        raise InputError(f"{path} {there}: there is no {' or '.join(KINDS)} in it")
    kind = KINDS[config]
    try:
        tables = read_toml((path / config).read_text(encoding="utf-8"))
        found = (_sweep if config == SWEEP else _run)(path, tables)
    except (InputError, ValueError, KeyError, TypeError, OSError):
        tables, found = {}, ("damaged", 0, {}, None)
    state, steps, test, best = found
    if is_in_use(path):
        state = "running"
    stats = [entry.stat() for entry in _files(path)]
    changed = max((s.st_mtime for s in stats), default=0.0)
    size = sum(s.st_size for s in stats)
    return Overview(path, kind, tables, state, steps, test, best, changed, size)


def flat(tables: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of tables within tables by their paths, "control.0.patience" for one."""
    for key, value in tables.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            yield from flat({str(i): item for i, item in enumerate(value)}, f"{name}.")
        else:
            yield name, value


_Found = tuple[str, int, dict[str, float], tuple[str, float] | None]


def _run(path: pathlib.Path, tables: Mapping[str, Any]) -> _Found:
    del tables
    summary = RunFolder(path).own_summary()
    if not summary:
        return "not ended", 0, {}, None
    best = summary.get("best")
    return (
        summary["stopped_by"].replace("early_stopping", "stopped early"),
        summary["steps"],
        numbers(numbers_of(summary["test"])),
        best and (best["metric"], best["value"]),
    )


def _sweep(path: pathlib.Path, tables: Mapping[str, Any]) -> _Found:
    ended = sum(1 for _ in read_lines(path / "runs.jsonl")) if (path / "runs.jsonl").exists() else 0
    if not (path / "sweep.csv").exists():
        return "not ended", ended, {}, None
    with open(path / "sweep.csv", newline="", encoding="utf-8") as file:
        first = next((row for row in csv.DictReader(file) if row["rank"] == "1"), {})
    test = {
        k.removeprefix("test_"): float(v) for k, v in first.items() if k.startswith("test_") and v
    }
    chosen = tables.get("sweep", {}).get("monitor")
    monitor = next((name for name in (chosen, "val_loss", "loss") if first.get(name)), None)
    best = None if monitor is None else (monitor, float(first[monitor]))
    return "finished", ended, numbers_of(test), best


def _folders(root: pathlib.Path, depth: int) -> Iterator[pathlib.Path]:
    if any((root / name).is_file() for name in KINDS):
        yield root
    elif depth:
        with contextlib.suppress(OSError):
            for entry in root.iterdir():
                if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
                    yield from _folders(entry, depth - 1)


def _files(path: pathlib.Path) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(pathlib.Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry


def size_in_words(count: float) -> str:
    """A number of bytes: "12 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"


def rank_of(overview: Overview) -> float:
    """Its score as a number that is better the lower; infinite where it has none."""
    if overview.score is None or overview.score[1] != overview.score[1]:
        return float("inf")
    name, value = overview.score
    return -value if better(name.removeprefix("test ")) == "max" else value
