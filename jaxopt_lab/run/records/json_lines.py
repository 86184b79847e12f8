"""Files with a JSON object a line, which a killed process may leave with half a line at the end."""

import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, TextIO

import jax
import numpy as np

from jaxopt_lab.core.files import sha256_of_json
from jaxopt_lab.core.metrics import is_of_layers

VOUCHED = "sha256"


def read_lines(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The rows that are whole; none where there is no file."""
    if path.is_file():  # a pipe would be waited for
        with open(path, "rb") as file:
            yield from (row for row, _ in _whole_rows(file))


def last_lines(path: pathlib.Path, size: int = 2**18) -> Iterator[dict[str, Any]]:
    """As `read_lines`, those that begin in the last `size` bytes alone."""
    if path.is_file():  # a pipe would be waited for
        with open(path, "rb") as file:
            at = max(0, file.seek(0, os.SEEK_END) - size)
            file.seek(max(0, at - 1))
            if at:
                file.readline()  # what begins before
            yield from (row for row, _ in _whole_rows(file))


def recover_lines(
    path: pathlib.Path, goes_on: Callable[[dict[str, Any]], bool] = lambda row: True
) -> Iterator[dict[str, Any]]:
    """As `read_lines`, and when all are read the file is ready for more rows.

    It is cut off after the last row that is whole, since another row would be glued to half a one,
    and before the first for which `goes_on` is false. A cut is one step for the disk: a kill loses
    no other row. What is no row among the others was damaged, and stays where it is.
    """
    if not path.is_file():
        return
    end = 0
    with open(path, "rb+") as file:
        for row, after in _whole_rows(file):
            if not goes_on(row):
                break
            end = after
            yield row
        file.truncate(end)
        # The last row may be whole but for its end of line.
        if end and (file.seek(end - 1), file.read(1))[1] != b"\n":
            file.write(b"\n")


def vouched_line(row: Mapping[str, Any]) -> str:
    """A row as a line with its own SHA-256, of which a reader knows that it is what was written."""
    return json.dumps({**row, VOUCHED: _hash_of(row)}) + "\n"


def read_vouched_lines(path: pathlib.Path) -> Iterator[dict[str, Any] | None]:
    """The rows that `vouched_line` wrote; None for each line that is not what was written.

    Half a line at the end, of a process that was killed, is passed over.
    """
    if not path.is_file():
        return
    with open(path, "rb") as file:
        for line in file:
            try:
                row = json.loads(line)
                yield row if row.pop(VOUCHED) == _hash_of(row) else None
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                if line.endswith(b"\n"):
                    yield None


def _hash_of(row: Mapping[str, Any]) -> str:
    return sha256_of_json(row)[:32]


def append_lines(path: pathlib.Path) -> TextIO:
    """Open a file, new or recovered, for more rows."""
    return open(path, "a", encoding="utf-8", newline="\n")


def _whole_rows(file: BinaryIO) -> Iterator[tuple[dict[str, Any], int]]:
    """The whole rows of an open file, each with the place after it."""
    end = 0
    for line in file:
        end += len(line)
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row, end


def shortest(values: Any) -> list[float | None]:
    """float32 as the shortest decimals that read back as it; what is not finite as None."""
    return [float(str(v)) if np.isfinite(v) else None for v in np.asarray(values, np.float32)]


def as_rows(columns: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """A row a place of the columns: whole numbers as they are, floats as `shortest`.

    Of numbers of layers those that are NaN are left out, which most are.
    """
    layers = {name: v for name, v in columns.items() if is_of_layers(name)}
    dense = {name: v for name, v in columns.items() if name not in layers}
    cells = [v.tolist() if v.dtype.kind in "iu" else shortest(v) for v in dense.values()]
    measured: dict[int, dict[str, Any]] = {}
    for name, values in layers.items():
        places = np.flatnonzero(~np.isnan(values))
        for place, value in zip(places.tolist(), shortest(values[places]), strict=True):
            measured.setdefault(place, {})[name] = value
    for place, row in enumerate(zip(*cells, strict=True)):
        yield dict(zip(dense, row, strict=True)) | measured.get(place, {})


def finite(value: Any) -> Any:
    """As JSON has it, which has no NaN: arrays as lists, and what is not finite as None."""
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | jax.Array):
        return finite(np.asarray(value).tolist())
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def numbers(values: dict[str, float | None]) -> dict[str, float]:
    """None as NaN again."""
    return {k: math.nan if v is None else v for k, v in values.items()}
