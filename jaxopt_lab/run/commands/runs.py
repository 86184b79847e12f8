"""`jaxopt-lab runs`: the runs and sweeps in a folder, with their states and scores."""

import math
import operator
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from jaxopt_lab.config.overrides import parsed_value
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.run.records.json_lines import finite
from jaxopt_lab.run.records.overview import Overview, find_overviews, rank_of, size_in_words
from jaxopt_lab.run.records.scores import in_words
from jaxopt_lab.run.terminal.progress import Progress

SORTS: dict[str, Callable[[Overview], Any]] = {
    "name": lambda found: str(found.path),
    "score": rank_of,
    "age": lambda found: -found.changed,
    "size": lambda found: -found.size,
    "state": lambda found: found.state,
}
"""By name from a to z, by score the best first, by age the newest, by size the largest."""

# Longer signs first: ">=" begins with ">".
_TESTS = {
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


def list_runs(
    root: pathlib.Path, *, sort: str = "name", where: Sequence[str] = ()
) -> list[Overview]:
    """The runs and sweeps in a folder.

    Args:
      root: the folder, which is looked through.
      sort: one of `SORTS`, or the path of a value, "optimizer.learning_rate".
      where: `"optimizer.name=adam"`, `"train.epochs>=10"`, `"state!=finished"`, `"test.loss<0.1"`:
        those are left for which all are true.

    Raises:
      InputError: no such folder; a condition that cannot be read, or of a value that no run has.
    """
    found = find_overviews(root)
    conditions = [_condition(text, found) for text in where]
    left = [each for each in found if all(condition(each) for condition in conditions)]
    if sort in SORTS:
        return sorted(left, key=SORTS[sort])
    _require_known(sort, found, f"--sort {sort}", list(SORTS))
    return sorted(left, key=lambda each: _order(each.values.get(sort)))


def show_runs(found: Sequence[Overview], terminal: Progress) -> None:
    """Print a row each."""
    now = time.time()
    rows = [
        (
            str(each.path),
            each.state if each.kind == "run" else f"{each.state} (sweep of {each.steps:,})",
            _score(each),
            _age(now - each.changed),
            size_in_words(each.size),
        )
        for each in found
    ]
    total = size_in_words(sum(each.size for each in found))
    title = f"{len(found)} run{'s' * (len(found) != 1)}, {total}"
    terminal.columns(title, ("folder", "state", "score", "age", "size"), rows)


def as_json(found: Sequence[Overview]) -> list[dict[str, Any]]:
    """A mapping each: its folder, every value of its configuration, and its scores."""
    return finite(
        [
            {"path": str(each.path), "changed": each.changed, "best": each.best} | each.values
            for each in found
        ]
    )


def _score(found: Overview) -> str:
    if found.score is None:
        return "-"
    name, value = found.score
    return f"{name.replace('_', ' ')} {in_words(name.removeprefix('test '), value)}"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "now"


def _condition(text: str, found: Sequence[Overview]) -> Callable[[Overview], bool]:
    places = {sign: text.find(sign) for sign in _TESTS if sign in text}
    if not places:
        raise InputError(
            f"--where {text}: expected KEY=VALUE, KEY!=VALUE, KEY<VALUE and so on, "
            '"optimizer.name=adam" for one'
        )
    sign = min(places, key=lambda sign: (places[sign], -len(sign)))
    key, wanted = text[: places[sign]].strip(), text[places[sign] + len(sign) :]
    _require_known(key, found, f"--where {text}", [])
    value = parsed_value(wanted, f"--where {text}", key)

    def holds(each: Overview) -> bool:
        own = each.values.get(key)
        if own is None:
            return sign == "!="
        try:
            return bool(_TESTS[sign](own, value))
        except TypeError:  # a word and a number
            return sign == "!="

    return holds


def _require_known(key: str, found: Sequence[Overview], where: str, others: list[str]) -> None:
    known = {*others, *(name for each in found for name in each.values)}
    if found and key not in known:
        raise InputError(f"{where}: no run here has a value {key!r}{nearest(key, known)}")


def _order(value: Any) -> tuple[int, Any]:
    """Numbers first, then words, and what is not there last."""
    if isinstance(value, int | float) and not math.isnan(value):
        return (0, value)
    return (2, "") if value is None else (1, str(value))
