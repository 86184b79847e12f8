"""Arrays by their names, as files hold them, to a `Dataset`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.core.cast import cast
from jaxopt_lab.core.declare import Targets
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.rows import Rows, is_lazy
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.natural_order import natural_key

MEMBERS = ("x", "y", "x_test", "y_test", "weight", "weight_test", "group", "classes")
_ALSO = {"x_train": "x", "y_train": "y"}  # as the archives of Keras name them

_MOST_CLASSES = 20  # that whole numbers may always be; more need as many rows a class
_NARROW = 1 << 20  # span of whole numbers that a table may have
_EXACT = 2**24  # up to which float32 holds every whole number


def dataset_of(arrays: Mapping[str, np.ndarray], source: str, *, fingerprint: str = "") -> Dataset:
    """Check arrays and make a data set of them.

    Args:
      arrays: by the names of `MEMBERS`, of which "x" and "y" must be there.
      source: is named in what is wrong.
      fingerprint: of their files.

    Raises:
      InputError: naming the first array that is missing or wrong.
    """
    arrays = {_ALSO.get(name, name): values for name, values in arrays.items()}
    _require_names(arrays, source)
    notes: list[str] = []
    targets, classes = "numbers", ()
    kept = {k: v for k, v in arrays.items() if k not in ("y", "y_test", "classes")}
    ys = {name: arrays[name] for name in ("y", "y_test") if name in arrays}
    ys, targets, classes = _targets(ys, _names(arrays.get("classes"), source), source)
    for name in ("x", "x_test"):
        if name in kept:
            kept[name] = inputs_of(kept[name], f"{source}: {name}", notes)
    for name in ("weight", "weight_test"):
        if name in kept:
            kept[name] = checked_weight(kept[name], f"{source}: {name}")
    if "group" in kept and (kept["group"].ndim != 1 or kept["group"].dtype.kind == "f"):
        found = f"{kept['group'].dtype} of shape {kept['group'].shape}"
        raise InputError(f"{source}: group must be (N,) whole numbers or text, got {found}")
    kept |= ys
    train = {k: kept[k] for k in ("x", "y", "weight", "group") if k in kept}
    test = {k: kept[f"{k}_test"] for k in ("x", "y", "weight") if f"{k}_test" in kept}
    _require_lengths(train, source, "")
    if test:
        _require_lengths(test, source, "_test")
        for name in ("x", "y"):
            ours, theirs = train[name], test[name]
            if (ours.shape[1:], ours.dtype) != (theirs.shape[1:], theirs.dtype):
                raise InputError(
                    f"{source}: samples of {name} and {name}_test must be alike, they are "
                    f"{ours.shape[1:]} {ours.dtype} and {theirs.shape[1:]} {theirs.dtype}"
                )
    return Dataset(
        train,
        test or None,
        classes,
        targets,
        ordered=True,
        fingerprint=fingerprint,
        notes=tuple(dict.fromkeys(notes)),
    )


def checked_weight(values: np.ndarray, where: str) -> np.ndarray:
    """Weights of samples as (N,) float32.

    Raises:
      InputError: where one is negative or not finite, or all are 0.
    """
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise InputError(f"{where} must be (N,) numbers, got {values.dtype} of {values.shape}")
    values = cast(values, np.float32)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(wrong):
        raise InputError(
            f"{where} must be finite and >= 0, got {values[wrong[0]]:g} at row {wrong[0]:,}"
        )
    if not values.any():
        raise InputError(f"{where} is 0 in every row: nothing would count")
    return values


class Coded(NamedTuple):
    """A column of few distinct values.

    Attributes:
      codes: (N,), the place of each row's value in `names`.
      names: the distinct values as text: numbers by their size, text in natural order.
    """

    codes: np.ndarray
    names: tuple[str, ...]


def coded(values: np.ndarray) -> Coded:
    """An array of text, booleans or whole numbers, (N,), by its distinct values."""
    low, high = (0, 0) if values.dtype.kind not in "biu" else (int(values.min()), int(values.max()))
    if values.dtype.kind in "biu" and high - low < max(_NARROW, len(values)):
        # A table in place of a sort, which takes seconds for millions of rows.
        offset = values.astype(np.int64) - low
        there = np.flatnonzero(np.bincount(offset))
        table = np.zeros(high - low + 1, np.int32)
        table[there] = np.arange(len(there))
        distinct = (there + low).astype(values.dtype)
        return Coded(table[offset], tuple(_as_text(distinct).tolist()))
    distinct, codes = np.unique(values, return_inverse=True)
    texts = _as_text(distinct).tolist()
    return Coded(codes.reshape(-1), tuple(texts)) if low < high else natural(codes, texts)


def natural(codes: np.ndarray, names: Sequence[str]) -> Coded:
    """Codes of names in any order as those of the names in natural order."""
    order = sorted(range(len(names)), key=lambda i: natural_key(names[i]))
    place = np.empty(len(names), np.int32)
    place[order] = np.arange(len(names))
    return Coded(place[codes.reshape(-1)], tuple(names[i] for i in order))


def class_numbers(
    values: Mapping[str, Coded], where: str, names: Sequence[str] = ()
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Classes by name as numbers from 0, (N,) int32, and the names.

    Args:
      values: of "y", and perhaps of "y_test".
      where: is named in what is wrong.
      names: of all classes; () for those that are in "y".

    Raises:
      InputError: where "y" has one class only, or "y_test" one that "y" has not.
    """
    classes = tuple(names) or values["y"].names
    number = {name: i for i, name in enumerate(classes)}
    numbers = {}
    for name, (codes, own) in values.items():
        if unknown := [i for i, text in enumerate(own) if text not in number]:
            row, text = int(np.flatnonzero(codes == unknown[0])[0]), own[unknown[0]]
            raise InputError(
                f"{where}: {name} has the class {text!r}, at row {row:,}, which is none of "
                f"training{nearest(text, classes)}; there: {brief_list(classes)}"
            )
        numbers[name] = np.array([number[text] for text in own], np.int32)[codes]
    if len(own := values["y"].names) < 2:
        raise InputError(
            f"{where}: y has one class only, {', '.join(own)!r}: there is nothing to tell apart"
        )
    return numbers, classes


def brief_list(names: Sequence[Any], most: int = 10) -> str:
    """Names with commas, the first of many."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def _as_text(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "b":
        return np.where(array, "true", "false")
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8", "replace")
    return array.astype(str)


def _require_names(arrays: Mapping[str, np.ndarray], source: str) -> None:
    for name in ("x", "y"):
        if name not in arrays:
            near = nearest(name, arrays)
            raise InputError(
                f"{source}: there is no {name}{near}; it holds {brief_list(list(arrays)) or '-'}, "
                f"expected x and y, and perhaps {', '.join(MEMBERS[2:])}"
            )
    if unknown := [name for name in arrays if name not in MEMBERS]:
        raise InputError(
            f"{source}: unknown {unknown[0]!r}{nearest(unknown[0], MEMBERS)}; it may hold "
            f"{', '.join(MEMBERS)}"
        )
    if ("x_test" in arrays) != ("y_test" in arrays):
        here, gone = ("x", "y") if "x_test" in arrays else ("y", "x")
        raise InputError(f"{source}: holds {here}_test and no {gone}_test; give both or neither")
    if "weight_test" in arrays and "x_test" not in arrays:
        raise InputError(f"{source}: holds weight_test and no x_test: give both, or leave it out")
    for name, values in arrays.items():
        if values.ndim == 0:
            raise InputError(f"{source}: {name} is one value, expected a row a sample")


def _require_lengths(split: Mapping[str, Any], source: str, suffix: str) -> None:
    count = len(split["x"])
    for name, values in split.items():
        if len(values) != count:
            raise InputError(
                f"{source}: {count:,} rows of x{suffix} and {len(values):,} of {name}{suffix}: "
                "they must be as many"
            )


def _names(array: np.ndarray | None, source: str) -> tuple[str, ...]:
    if array is None:
        return ()
    if array.ndim != 1 or array.dtype.kind not in "US":
        found = f"{array.dtype} of shape {array.shape}"
        raise InputError(f"{source}: classes must be (K,) names as text, got {found}")
    names = tuple(_as_text(array).tolist())
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{source}: classes holds {twice!r} twice: give each class its own name")
    return names


def _targets(
    ys: dict[str, np.ndarray], names: tuple[str, ...], source: str
) -> tuple[dict[str, np.ndarray], Targets, tuple[str, ...]]:
    """The targets as training wants them, what they are, and the names of classes or labels."""
    first = ys["y"]
    where = f"{source}: y"
    if first.ndim > 2 or (first.ndim == 2 and first.shape[1] == 0):
        raise InputError(f"{where} must be (N,) or (N, K), got shape {first.shape}")
    for name, values in ys.items():
        if values.dtype.kind != first.dtype.kind or values.ndim != first.ndim:
            raise InputError(
                f"{source}: y and {name} must be alike, they are {first.dtype} of shape "
                f"{first.shape} and {values.dtype} of shape {values.shape}"
            )
    kind = first.dtype.kind
    if kind == "f":
        if names:
            raise InputError(f"{where} holds {first.dtype}, numbers, and classes names them: one")
        return {n: _numbers(v, f"{source}: {n}") for n, v in ys.items()}, "numbers", ()
    if first.ndim == 2:
        return _labels(ys, names, source)
    if names and kind in "iu":
        for name, values in ys.items():
            wrong = np.flatnonzero((values < 0) | (values >= len(names)))
            if len(wrong):
                raise InputError(
                    f"{source}: {name} holds {values[wrong[0]]} at row {wrong[0]:,}, expected 0 to "
                    f"{len(names) - 1}, the {len(names)} classes that there are"
                )
        if len(np.unique(first)) < 2:
            raise InputError(f"{where} has one class only, {names[int(first[0])]!r}")
        return {n: np.asarray(v, np.int32) for n, v in ys.items()}, "classes", names
    distinct = len(np.unique(first))
    if distinct > max(_MOST_CLASSES, len(first) // 2):
        raise InputError(
            f"{where} holds {distinct:,} distinct values in {len(first):,} rows, too many to be "
            "classes: save numbers as float32"
        )
    numbers, classes = class_numbers({k: coded(v) for k, v in ys.items()}, source, names)
    return numbers, "classes", classes


def _labels(
    ys: dict[str, np.ndarray], names: tuple[str, ...], source: str
) -> tuple[dict[str, np.ndarray], Targets, tuple[str, ...]]:
    count = ys["y"].shape[1]
    for name, values in ys.items():
        if values.dtype.kind not in "biu":
            raise InputError(f"{source}: {name} in columns must be numbers, got {values.dtype}")
        if values.min() < 0 or values.max() > 1:
            wrong = values[(values < 0) | (values > 1)][0]
            raise InputError(
                f"{source}: {name} holds {wrong} in {values.shape[1]} columns: labels are 0 or 1, "
                "classes are (N,), numbers are floats"
            )
    if names and len(names) != count:
        raise InputError(
            f"{source}: {len(names)} classes name the {count} columns of y: give one name a column"
        )
    labels = {name: np.asarray(values, np.int32) for name, values in ys.items()}
    return labels, "labels", names or tuple(str(i) for i in range(count))


def _numbers(values: np.ndarray, where: str) -> np.ndarray:
    values = cast(values, np.float32)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        raise InputError(
            f"{where} holds {values[tuple(wrong[0])]} at row {wrong[0][0]:,}: leave out rows "
            "without a target"
        )
    return values


def inputs_of(values: np.ndarray, where: str, notes: list[str]) -> Any:
    """x as it is trained on, uint8 or floats of 32 bits at most; where mapped, as it is read.

    Args:
      values: (N, ...).
      where: is named in what is wrong.
      notes: gets what there is to say of it.

    Raises:
      InputError: where it is text, or empty.
    """
    kind = values.dtype.kind
    if kind in "US":
        raise InputError(f"{where} holds text, expected numbers")
    if values.ndim > 1 and 0 in values.shape[1:]:
        raise InputError(f"{where} holds samples without values, its shape is {values.shape}")
    if values.ndim == 1:
        notes.append("x has one number a sample: taken as (N, 1)")
        values = values[:, None]
    if values.ndim == 3 and values.dtype == np.uint8:
        notes.append(f"x of shape {values.shape} is taken as gray images: a channel is added")
        values = values[..., None]
    if values.dtype == np.uint8:
        return values
    if kind == "f" and values.dtype.itemsize <= 4 and values.dtype.isnative:
        return values
    if kind in "iub":
        exact = values.dtype.itemsize <= 2 or not _beyond(values)
        rounded = "" if exact else "; those beyond 2^24 are rounded"
        notes.append(f"x is {values.dtype}: taken as numbers, float32{rounded}")
    return Rows(values, dtype=np.float32) if is_lazy(values) else cast(values, np.float32)


def _beyond(values: np.ndarray) -> bool:
    """Whether whole numbers are too large for float32; not looked at in a mapped array."""
    return not is_lazy(values) and bool(values.min() < -_EXACT or values.max() > _EXACT)
