"""What is true of samples, where their input says it, as a run's own y."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class Truth:
    """The targets of some samples.

    Attributes:
      y: (n, ...), as the run was trained on; where it is not known anything.
      known: (n,) bool.
    """

    y: np.ndarray
    known: np.ndarray

    def __getitem__(self, rows: Any) -> "Truth":
        """Those of some rows."""
        return Truth(self.y[rows], self.known[rows])


def target_names(config: Config, signature: Signature) -> tuple[str, ...]:
    """The columns that a run on a table predicts; () of other data."""
    target = config.data.source.arguments.get("target")
    if not signature.columns or target is None:
        return ()
    return (target,) if isinstance(target, str) else tuple(target)


def unknown(signature: Signature, count: int) -> Truth:
    """The targets of samples of which nothing is said."""
    y = np.zeros((count, *signature.y_shape), signature.y_dtype)
    return Truth(y, np.zeros(count, bool))


def truth_of_texts(signature: Signature, columns: Sequence[Sequence[str | None]]) -> Truth:
    """The targets of rows of a table, of each column a text a row; None for one that is missing.

    What is no class of the run, or no number, is not known.
    """
    if signature.targets == "classes":
        number = {name: i for i, name in enumerate(signature.classes)}
        values = [_class_of(text, number) for text in columns[0]]
        return _truth(signature, [0 if v is None else v for v in values], values)
    rows = [[_number(text) for text in row] for row in zip(*columns, strict=True)]
    good = [None if any(v is None for v in row) else row for row in rows]
    filled = [row or [0.0] * len(columns) for row in good]
    y = np.asarray(filled, np.float64).reshape(len(rows), *signature.y_shape)
    return _truth(signature, y, good)


def truth_of_array(signature: Signature, y: np.ndarray, names: Any, where: str) -> Truth:
    """The targets of an array file: classes by name, or by number where they are no names.

    Args:
      signature: of the run.
      y: (N,) or (N, K).
      names: (K,) text, of the classes that y counts; None for those of the run.
      where: is named in what is wrong.

    Raises:
      InputError: where y has another shape than the run was trained on, or is no such targets.
    """
    wanted = signature.y_shape
    if y.shape[1:] != wanted:
        shape = ", ".join(map(str, ("N", *wanted)))
        raise InputError(f"{where}: expected y of shape ({shape}), got {y.shape}; or leave y out")
    if signature.targets != "classes":
        if y.dtype.kind not in "biuf":
            raise InputError(f"{where}: y holds {y.dtype}, expected numbers; or leave y out")
        y = np.asarray(y, signature.y_dtype)
        return Truth(y, np.isfinite(y.reshape(len(y), -1)).all(-1))
    if names is not None:
        if y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= len(names):
            raise InputError(f"{where}: y must be numbers of its {len(names)} classes")
        y = np.asarray(names)[y]
    distinct, places = np.unique(y, return_inverse=True)
    number = {name: i for i, name in enumerate(signature.classes)}
    texts = [t.decode("utf-8", "replace") if isinstance(t, bytes) else str(t) for t in distinct]
    found = [_class_of(text, number) for text in texts]
    if y.dtype.kind in "iu" and None in found:  # by number, as published data has them
        found = [int(v) if 0 <= v < len(number) else None for v in distinct]
    table = np.array([-1 if v is None else v for v in found])[places.reshape(-1)]
    return Truth(np.maximum(table, 0).astype(signature.y_dtype), table >= 0)


def told(signature: Signature, truth: Truth) -> list[Any]:
    """Each target as a person reads it; None where it is not known."""
    if signature.targets == "classes":
        values: list[Any] = [signature.classes[int(i)] for i in truth.y]
    elif signature.targets == "labels":
        values = [[signature.classes[i] for i in np.flatnonzero(row)] for row in truth.y]
    else:
        values = [_shortest(row) for row in truth.y]
    return [v if known else None for v, known in zip(values, truth.known, strict=True)]


def as_text(value: Any) -> str | None:
    """A value of a table as it is written; None where it is missing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _shortest(row: np.ndarray) -> Any:
    """Numbers as the shortest decimals that read back as them, in their own dtype."""
    return float(str(row)) if row.ndim == 0 else [float(str(v)) for v in row]


def _class_of(text: str | None, number: Mapping[str, int]) -> int | None:
    if text is None or text in number:
        return None if text is None else number[text]
    if text.lower() in ("true", "false"):
        return number.get(text.lower())
    value = _number(text)  # 1.0, of a class 1
    whole = value is not None and value == int(value)
    return number.get(str(int(value))) if whole and value is not None else None


def _number(text: str | None) -> float | None:
    try:
        value = {"true": 1.0, "false": 0.0}.get(str(text).lower())
        value = float(str(text)) if value is None else value
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _truth(signature: Signature, y: Any, values: Sequence[Any]) -> Truth:
    known = np.array([value is not None for value in values], bool)
    return Truth(np.asarray(y).astype(signature.y_dtype), known)
