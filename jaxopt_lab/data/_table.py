"""A table, CSV or Parquet."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.core.ranges import FilePath, checked
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.data.arrays import Coded, brief_list, checked_weight, class_numbers, coded, natural
from jaxopt_lab.data.dataset import Dataset, Targets
from jaxopt_lab.data.encoding import as_text, column_of, encode, require_values, rounded_columns
from jaxopt_lab.data.fingerprint import fingerprint_of
from jaxopt_lab.data.tables import Source, find_columns, read_columns

_MISSING = ("refuse", "mean", "median")
_FEW = 20  # distinct whole numbers that are classes, unless it is said what they are

TargetIs = Literal["auto", "classes", "numbers"]


@checked
def table(
    path: FilePath,
    *,
    target: str | Sequence[str],
    columns: Sequence[str] | None = None,
    categories: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    target_is: TargetIs = "auto",
    missing: Literal["refuse", "mean", "median"] | float = "refuse",
    weight: str | None = None,
    group: str | None = None,
    test_path: FilePath | None = None,
    separator: str | None = None,
    decimal: Literal[".", ","] = ".",
) -> Dataset:
    """A table: .csv, .tsv or .parquet, a row a sample; its first line names the columns.

    Columns of numbers are taken as they are, true and false as 1 and 0. Columns of text, and those
    that `categories` names, become one column a value, in natural order. Dates are refused. In text
    a value is missing where it is empty or NA, nan, null and so on without quotes.

    A target of text or booleans is a class; so are whole numbers of at most 20 different values,
    others are numbers, and so are all with a point. Several targets are labels where all of them
    are 0 and 1, and else numbers.

    Args:
      path: of the file; text in UTF-8, or in latin-1.
      target: the column to predict, or several.
      columns: those to predict from; None for all others.
      categories: columns that are categories though they hold numbers, or text of very many values.
      drop: columns to leave out.
      target_is: "classes" or "numbers", where "auto" takes the target for the other.
      missing: "refuse", or what a missing number becomes: "mean" or "median" of its column in the
        rows that are trained on, or a number. A missing category is 0 in all its columns.
      weight: a column of how much a sample counts, >= 0.
      group: a column whose equal values are kept in one split, such as a patient's.
      test_path: of a table of the same columns, the test split; without it one is drawn.
      separator: between values; None for a tab in .tsv and else a comma.
      decimal: the point of numbers in text.

    Returns:
      A `Dataset` of (N, F) float32 features, whose `columns` say what they were.

    Raises:
      InputError: naming the column, and the line where there is one: a column that is not there, a
        row of more or fewer values, a value that is missing, infinite or no number.

    Reference:
      RFC 4180, https://www.rfc-editor.org/rfc/rfc4180; read by Apache Arrow.
    """
    if missing not in _MISSING and (isinstance(missing, str) or not math.isfinite(missing)):
        near = nearest(str(missing), _MISSING)
        text = f"must be one of {', '.join(_MISSING)} or a finite number, got {missing!r}{near}"
        raise ArgumentError("table", {"missing": text})
    source = find_columns(path, separator)
    targets = [target] if isinstance(target, str) else list(target)
    beside = [name for name in (weight, group) if name is not None]
    _require_columns(source, targets, beside, columns, categories, drop)
    left_out = {*targets, *beside, *(drop or ())}
    features = [name for name in columns or source.names if name not in left_out]
    if not features:
        raise InputError(f"{source.path}: no columns are left to predict from")
    text = [*(categories or ()), *([group] if group else [])]
    wanted = [*features, *targets, *beside]
    found = read_columns(source, wanted, [n for n in text if n in wanted], decimal)
    specs = tuple(
        column_of(name, found.column(name), source, category=name in (categories or ()))
        for name in features
    )
    splits = {"": (source, found)}
    if test_path is not None:
        other = find_columns(test_path, separator)
        wanted = [*features, *targets, *([weight] if weight else [])]
        other.require(wanted, "test_path")
        texts = [spec["name"] for spec in specs if spec["kind"] == "category"]
        splits["_test"] = (other, read_columns(other, wanted, texts, decimal))
    kept: dict[str, np.ndarray] = {}
    for suffix, (own, rows) in splits.items():
        kept[f"x{suffix}"] = encode(specs, rows, own, missing=missing != "refuse")
        if weight is not None:
            kept[f"weight{suffix}"] = _weights(rows, weight, own)
    ys = {f"y{k}": _target_columns(rows, targets, own) for k, (own, rows) in splits.items()}
    ys, kind, classes = _targets(ys, targets, not isinstance(target, str), target_is, source)
    notes = [_what(kind, targets, classes)]
    if rounded := rounded_columns(specs, found):
        notes.append(f"beyond 2^24 whole numbers are rounded: {brief_list(rounded)}")
    if source.encoding != "utf-8":
        notes.append(f"{source.path} is not UTF-8: read as {source.encoding}")
    train = {"x": kept["x"], "y": ys["y"]}
    if weight is not None:
        train["weight"] = kept["weight"]
    if group is not None:
        require_values(found.column(group), group, source, "give each row its group")
        train["group"] = as_text(found.column(group)).to_numpy().astype(str)
    test = {k: v for k in ("x", "y", "weight") if (v := (kept | ys).get(f"{k}_test")) is not None}
    files = {"table": path} | ({"test": test_path} if test_path is not None else {})
    return Dataset(
        train,
        test or None,
        classes,
        kind,
        columns=specs,
        fill=None if missing == "refuse" else missing,
        ordered=True,
        fingerprint=fingerprint_of(files.items()),
        notes=tuple(notes),
    )


def _require_columns(
    source: Source,
    targets: Sequence[str],
    beside: Sequence[str],
    columns: Sequence[str] | None,
    categories: Sequence[str] | None,
    drop: Sequence[str] | None,
) -> None:
    if not targets:
        raise InputError(
            f"{source.path}: target names no column: name one, target = 'price' for one"
        )
    source.require(targets, "target")
    source.require(beside, "weight or group")
    for what, names in {"columns": columns, "categories": categories, "drop": drop}.items():
        source.require(names or (), what)
    if both := [name for name in columns or () if name in {*targets, *beside, *(drop or ())}]:
        raise InputError(
            f"{source.path}: {both[0]!r} is among columns, and elsewhere too: name it once"
        )


def _weights(rows: Any, name: str, source: Source) -> np.ndarray:
    require_values(rows.column(name), name, source, "give each row its weight")
    return checked_weight(rows.column(name).to_numpy(), f"{source.path}: column {name!r}")


def _target_columns(rows: Any, names: Sequence[str], source: Source) -> list[np.ndarray | Coded]:
    """Each target: numbers as NumPy has them, text by its distinct values."""
    from pyarrow import types

    found = []
    for name in names:
        values = rows.column(name)
        require_values(values, name, source, "leave rows without a target out")
        kind = values.type
        numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
        if types.is_decimal(kind):
            found.append(values.cast("float64").to_numpy())
        elif numeric:
            found.append(values.to_numpy())
        elif types.is_temporal(kind) or types.is_nested(kind) or types.is_binary(kind):
            raise InputError(f"{source.path}: the target {name!r} holds {kind}: make numbers of it")
        else:
            texts = as_text(values).combine_chunks().dictionary_encode()
            found.append(natural(texts.indices.to_numpy(), texts.dictionary.to_pylist()))
        own = found[-1]
        if _kind(own) == "f":
            wrong = np.flatnonzero(~np.isfinite(own))
            if len(wrong):
                row = int(wrong[0])
                raise InputError(
                    f"{source.path}: the target {name!r} is {own[row]} on "
                    f"{source.place(row)}: leave this row out"
                )
    return found


def _kind(target: np.ndarray | Coded) -> str:
    """The kind of its dtype, "U" for text."""
    return "U" if isinstance(target, Coded) else target.dtype.kind


def _targets(
    found: dict[str, list[Any]],
    names: Sequence[str],
    several: bool,
    target_is: TargetIs,
    source: Source,
) -> tuple[dict[str, np.ndarray], Targets, tuple[str, ...]]:
    """The targets as training wants them, what they are, and the names of classes or labels."""
    where = f"{source.path}: target"
    kinds = {_kind(y) for ys in found.values() for y in ys}
    if "U" in kinds and (several or len(kinds) > 1 or target_is == "numbers"):
        column = next(n for n, y in zip(names, found["y"], strict=True) if _kind(y) == "U")
        raise InputError(f"{where}: {column!r} holds text, expected numbers")
    if several:
        if target_is == "classes":
            raise InputError(f"{where}: classes are in one column, got {len(names)}: name one")
        stacked = {
            key: np.stack([y.astype(np.float64) for y in ys], 1) for key, ys in found.items()
        }
        whole = not kinds - set("biu") and target_is == "auto"
        if whole and all(((y == 0) | (y == 1)).all() for y in stacked.values()):
            labels = {key: y.astype(np.int32) for key, y in stacked.items()}
            return labels, "labels", tuple(names)
        return {key: y.astype(np.float32) for key, y in stacked.items()}, "numbers", ()
    ys = {key: y for key, (y,) in found.items()}
    if "f" in kinds and target_is == "classes":
        if any((y != np.round(y)).any() for y in ys.values()):
            raise InputError(
                f"{where}: {names[0]!r} holds numbers with a point, which are no classes: leave "
                "out target_is"
            )
        ys, kinds = {key: y.astype(np.int64) for key, y in ys.items()}, {"i"}
    few = "f" not in kinds and (kinds & set("Ub") or len(np.unique(ys["y"])) <= _FEW)
    if target_is == "classes" or (target_is == "auto" and few):
        by_value = {key: y if isinstance(y, Coded) else coded(y) for key, y in ys.items()}
        numbers, classes = class_numbers(by_value, f"{where} {names[0]!r}")
        return numbers, "classes", classes
    return {key: y.astype(np.float32) for key, y in ys.items()}, "numbers", ()


def _what(kind: Targets, names: Sequence[str], classes: Sequence[str]) -> str:
    """What the targets were taken for, in words."""
    listed = brief_list([repr(name) for name in names])
    if kind == "classes":
        return f"target {listed}: {len(classes)} classes ({brief_list(classes)})"
    return f"target {listed}: {kind}"
