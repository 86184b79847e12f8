"""`jaxopt-lab compare`: trained runs over each other, and what differs between them."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxopt_lab.config.files import without_paths
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.core.metrics import is_held_out
from jaxopt_lab.run.records.comparison import Compared, Comparison, Setting
from jaxopt_lab.run.records.json_file import read_json
from jaxopt_lab.run.records.overview import flat, overview_of
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.terminal.progress import Progress

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def compare(runs: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Put runs side by side; neither their data nor the code of their models need be there.

    Args:
      runs: folders of runs, finished or not, two or more.

    Returns:
      A `Comparison`.

    Raises:
      InputError: where one is no folder of a run, or is given twice.
    """
    paths = [pathlib.Path(path) for path in runs]
    if len(paths) < 2:
        raise InputError(f"compare: give two runs or more, got {len(paths)}")
    real = [path.resolve() for path in paths]
    if twice := [path for path in paths if real.count(path.resolve()) > 1]:
        raise InputError(f"compare: {twice[0]} is given twice: name each run once")
    found = [_read(path, name) for path, name in zip(paths, _names(real), strict=True)]
    groups: dict[str, list[Compared]] = {}
    for run in found:
        tables = {k: v for k, v in without_paths(run.overview.tables).items() if k != "seed"}
        identity = [tables, read_json(RunFolder(run.overview.path).signature).get("fingerprint")]
        groups.setdefault(json.dumps(identity, sort_keys=True, default=str), []).append(run)
    names = _LETTERS if len(groups) <= len(_LETTERS) else [f"S{i}" for i in range(len(groups))]
    differ = _differing([dict(flat(own[0].overview.tables)) for own in groups.values()])
    settings = [
        Setting(name, tuple(own), values)
        for name, own, values in zip(names, groups.values(), differ, strict=False)
    ]
    order = dict.fromkeys(name for run in found for name in run.scores)
    return Comparison(tuple(settings), tuple(sorted(order, key=is_held_out)))


def show(found: Comparison, terminal: Progress) -> None:
    """Print the verdict and the tables."""
    terminal.say(found.verdict)
    terminal.columns("scores, mean ± standard error over seeds", *found.table())
    names, rows = found.paired()
    if any(row[1] != "0" for row in rows):
        first = found.settings[0].name
        terminal.columns(f"differences to {first}, seed by seed", names, rows)
    if found.differences:
        terminal.columns("what differs between the configurations", *found.values())
    names, rows = found.listed()
    terminal.columns("runs", names[:5], [row[:5] for row in rows])


def write_comparison(found: Comparison, path: pathlib.Path) -> pathlib.Path:
    """Write the page."""
    write_atomically(path, found.page())
    return path


def _read(path: pathlib.Path, name: str) -> Compared:
    overview = overview_of(path)
    if overview.kind != "run":
        raise InputError(f"{path} is a sweep, whose own report compares its runs: give runs")
    if overview.state == "damaged":
        raise InputError(f"{path}: its configuration or summary is damaged: restore it from a copy")
    scores = dict(overview.test)
    if overview.best is not None:
        scores[overview.best[0]] = overview.best[1]
    seed = overview.tables.get("seed", 0)
    return Compared(name, seed, overview, RunFolder(path).history(), scores)


def _names(paths: Sequence[pathlib.Path]) -> list[str]:
    """The last parts of each path, as many as tell them apart."""
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        names = [str(pathlib.Path(*path.parts[-count:])) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _differing(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of mappings those values that are not the same in all, the seed aside."""
    paths = dict.fromkeys(path for own in values for path in own if path != "seed")
    differ = [path for path in paths if len({repr(own.get(path)) for own in values}) > 1]
    return [{path: own.get(path) for path in differ} for own in values]
