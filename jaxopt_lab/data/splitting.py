"""A data set in three parts, drawn once, from one seed, before anything else is done to it.

1. The test split: the one that there is, or a share of the rows. Where the targets are classes each
   gives its share.
2. The validation split: a share of what remains.
3. Rows of one group are in one part, whatever the shares are.
4. What is missing is filled by the rows that are trained on.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.core import aligned
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.memory import IN_MEMORY
from jaxopt_lab.core.rows import is_lazy, take_rows, workers_of
from jaxopt_lab.data.dataset import Dataset, Fill, targets_of
from jaxopt_lab.data.feature_names import feature_names
from jaxopt_lab.data.stratified import stratified

_FAR = 0.25  # of a share, beyond which what is drawn is said to differ

TEST_SHARE = 0.15
"""Of the rows of a data set without a test split."""


class Splits(NamedTuple):
    """The parts of a data set.

    Attributes:
      train, validation, test: arrays by their names, without groups; `validation` may be None.
      fill: (F,) float32, what a NaN in each column of x became; None where none is filled.
      record: `{"test": ..., "validation": ...}`: the names of their samples, or their row numbers
        in the data set's own order where they have none; "given" for a test split of its own
        whose samples have no names.
      notes: what there is to say of what was drawn.
    """

    train: dict[str, Any]
    validation: dict[str, Any] | None
    test: dict[str, Any]
    fill: np.ndarray | None
    record: dict[str, Any]
    notes: tuple[str, ...] = ()


def split(
    dataset: Dataset,
    *,
    test: float | None = None,
    validation: float = 0.0,
    train_size: int | None = None,
    seed: int = 0,
) -> Splits:
    """Part a data set.

    Args:
      dataset: what a loader gives.
      test: share of the rows, in (0, 1), for one without a test split; None for 0.15.
      validation: share of the remaining rows, in [0, 1).
      train_size: how many of the rows that then remain are trained on; None for all.
      seed: of every draw, 0 to 2^31 - 1.

    Returns:
      A `Splits`; large arrays that are mapped stay on the disk.

    Raises:
      ArgumentError: naming `test`, `validation` or `train_size` where it does not fit the data.
      InputError: where a column that is to be filled has no number.
    """
    arrays = dict(dataset.train)
    groups = arrays.pop("group", None)
    labels = arrays["y"] if targets_of(dataset) == "classes" else None
    names = dataset.train_names
    given: Any = {}
    rows: np.ndarray | None = None  # of what is trained on; None for all, as they lie
    record: dict[str, Any] = {"test": list(dataset.test_names) or "given", "validation": []}
    drawn: dict[str, tuple[float, float]] = {}  # the share that was asked for, and that it is
    if dataset.test is None:
        share = TEST_SHARE if test is None else test
        rows, held = draw(len(arrays["y"]), share, seed, "test", labels, groups)
        if groups is not None:
            drawn["test"] = share, len(held) / len(arrays["y"])
        given = {name: take_rows(values, held) for name, values in arrays.items()}
        record["test"] = _named(names, held)
    elif test is not None:
        text = f"{test} is a share of data without a test split, and this has one: leave it out"
        raise ArgumentError("data", {"test": text})
    else:
        given = dict(dataset.test)
        if dataset.ordered:
            rows = np.random.RandomState(seed).permutation(len(arrays["y"]))
    kept = None
    if validation:
        rows = np.arange(len(arrays["y"])) if rows is None else rows
        if groups is None:
            order, count = _permutation(len(rows), validation, seed)
            kept, rows = rows[order[:count]], rows[order[count:]]
        else:
            of_class = None if labels is None else labels[rows]
            rest, held = draw(
                len(rows), validation, seed, "validation", of_class, np.asarray(groups)[rows]
            )
            drawn["validation"] = validation, len(held) / len(rows)
            kept, rows = rows[held], rows[rest]
        record["validation"] = _named(names, kept)
    size = _size(train_size, len(arrays["y"]) if rows is None else len(rows))
    rest = slice(size) if rows is None else rows[:size]
    train = {name: take_rows(values, rest) for name, values in arrays.items()}
    # Rows that are streamed stay so where they are trained on, because that was asked for.
    train |= read_if_small({k: v for k, v in train.items() if workers_of(v) is None})
    held_out = None
    if kept is not None:
        held_out = read_if_small({name: take_rows(v, kept) for name, v in arrays.items()})
    given, fill = read_if_small(given), None
    if dataset.fill is not None:
        fill = fill_values(train["x"], dataset.fill, feature_names(dataset.columns))
        for part in (train, held_out, given):
            if part is not None:
                part["x"] = filled(part["x"], fill)
    return Splits(train, held_out, given, fill, record, _far_off(drawn))


def _far_off(drawn: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Of shares that whole groups could not meet, in words."""
    return tuple(
        f"{what} is {found:.1%} of the rows, {asked:.1%} was asked for: no group is parted"
        for what, (asked, found) in drawn.items()
        if abs(found - asked) > _FAR * asked
    )


def draw(
    count: int,
    share: float,
    seed: int,
    what: str = "test",
    labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of what remains and of what is held out, each shuffled.

    Args:
      count: of rows.
      share: to hold out, in (0, 1); at least one row is, and one remains.
      seed: the same rows are drawn from the same seed.
      what: the split is called in what is wrong.
      labels: (count,) classes from 0, whose shares are kept as well as can be.
      groups: (count,) whole numbers or text; rows of one group are not parted.

    Raises:
      ArgumentError: where nothing would remain.
    """
    held = max(1, round(share * count))
    if held >= count:
        raise ArgumentError("data", {what: _nothing_left(share, count)})
    if labels is None:
        labels = np.zeros(count, np.int64)
    if groups is None:
        rest, kept = stratified(labels, held, seed)
        if not len(kept):
            text = f"cannot be drawn: each of the {count} samples is the only one of its class"
            raise ArgumentError("data", {what: text})
        return rest, kept
    return _by_group(share, seed, what, labels, groups)


def _by_group(
    share: float, seed: int, what: str, labels: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whole groups in random order, each held out where that brings the classes nearer."""
    random = np.random.RandomState(seed)
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    if count < 2:
        text = f"cannot be drawn: all {len(groups)} rows are of one group, {str(groups[0])!r}"
        raise ArgumentError("data", {what: text})
    classes = int(labels.max()) + 1
    members = np.zeros((count, classes), np.int64)
    np.add.at(members, (group, labels), 1)
    wanted, held = share * members.sum(0), np.zeros(classes)
    chosen = np.zeros(count, bool)
    order = random.permutation(count)
    for i in order:
        if ((held + members[i] - wanted) ** 2).sum() < ((held - wanted) ** 2).sum():
            held, chosen[i] = held + members[i], True
            if held.sum() >= wanted.sum() and (held >= wanted).all():
                break
    if not chosen.any():  # every group is larger than the share: the smallest comes nearest
        chosen[order[members[order].sum(1).argmin()]] = True
    shuffled = random.permutation(len(groups))
    in_held = chosen[group[shuffled]]
    return shuffled[~in_held], shuffled[in_held]


def _permutation(count: int, share: float, seed: int) -> tuple[np.ndarray, int]:
    """The order of rows of which the first so many are held out for validation."""
    held = max(1, round(share * count))
    if held >= count:
        raise ArgumentError("data", {"validation": _nothing_left(share, count)})
    return np.random.default_rng(seed).permutation(count), held


def _nothing_left(share: float, count: int) -> str:
    return f"{share} of {count} samples leaves none to train on; lower it"


def _size(wanted: int | None, count: int) -> int:
    if wanted is not None and wanted > count:
        text = f"{wanted} is more than the {count} training samples that there are; lower it"
        raise ArgumentError("data", {"train_size": text})
    return count if wanted is None else wanted


def _named(names: tuple[str, ...], rows: np.ndarray) -> list[Any]:
    """The samples in the data set's own order: by name, or by number where they have none."""
    ordered = np.sort(rows).tolist()
    return [names[row] for row in ordered] if names else ordered


def read_if_small(part: dict[str, Any]) -> dict[str, Any]:
    """Arrays by name, those on the disk read where they fit easily: the device then holds them."""
    return {
        name: aligned.copy_of(v) if is_lazy(v) and v.nbytes <= IN_MEMORY else v
        for name, v in part.items()
    }


def fill_values(x: np.ndarray, fill: Fill, names: tuple[str, ...]) -> np.ndarray:
    """What fills each column of (N, F) floats: its mean or median without NaN, or a number.

    Raises:
      InputError: where a column holds nothing but NaN.
    """
    if not isinstance(fill, str):
        return np.full(x.shape[1], fill, np.float32)
    empty = np.flatnonzero(np.isnan(x).all(0))
    if len(empty):
        name = repr(names[empty[0]]) if names else f"{empty[0]} of x"
        raise InputError(
            f"column {name} has no value in the rows that are trained on, so no {fill}: drop it"
        )
    statistic = {"mean": np.nanmean, "median": np.nanmedian}[fill]
    return statistic(x.astype(np.float64), axis=0).astype(np.float32)


def filled(x: Any, values: np.ndarray) -> np.ndarray:
    """(N, F) floats with each NaN as the value of its column."""
    return np.where(np.isnan(x), values[None], x)
