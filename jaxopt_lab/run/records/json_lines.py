"""Files with a JSON object a line, which a killed process may leave with half a line at the end."""

import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows up to the first that is not whole; none where there is no file."""
    rows: list[dict[str, Any]] = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            break
        if not isinstance(row, dict):
            break
        rows.append(row)
    return rows


def shortest(values: Any) -> list[float | None]:
    """float32 as the shortest decimals that read back as it; what is not finite as None."""
    return [float(str(v)) if np.isfinite(v) else None for v in np.asarray(values, np.float32)]


def as_rows(columns: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """A row a place of the columns: whole numbers as they are, floats as `shortest`."""
    cells = [v.tolist() if v.dtype.kind in "iu" else shortest(v) for v in columns.values()]
    for row in zip(*cells, strict=True):
        yield dict(zip(columns, row, strict=True))


def finite(values: dict[str, float]) -> dict[str, float | None]:
    """What is not finite as None, for JSON has no NaN."""
    return {k: v if math.isfinite(v) else None for k, v in values.items()}


def numbers(values: dict[str, float | None]) -> dict[str, float]:
    """None as NaN again."""
    return {k: math.nan if v is None else v for k, v in values.items()}
