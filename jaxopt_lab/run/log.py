"""The log of a run: rows in memory, and a line of JSON each where the run has a folder."""

import json
import math
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxopt_lab.engine.checkpoint import write_atomically

Row = dict[str, float | int | None]


class MetricsLog:
    """Rows of training, `{"step": 20, "loss": ...}`, and of evaluation, `{"eval_step": 20, ...}`.

    A step is the number of steps taken, so row 20 is the state after 20 steps. Rows hold nothing
    that differs between two runs of the same configuration: no clock, no machine.
    """

    def __init__(self, path: pathlib.Path | None, *, until: int = 0):
        """Open the log of a run that stands at step `until`; rows past it are dropped."""
        self.rows: list[Row] = []
        self._file = None
        if path is None:
            return
        self.rows = [row for row in _read(path) if _step(row) <= until]
        # Whole or as it was: a kill in this moment must not lose the log.
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in self.rows).encode())
        self._file = open(path, "a")  # noqa: SIM115 - closed by `close`

    def train(self, start: int, rows: dict[str, np.ndarray], every: int) -> None:
        """Add the rows of steps `start` and on, those that `every` divides."""
        count = len(rows["loss"])
        numbers = {name: _shortest(values) for name, values in rows.items()}
        new: list[Row] = [
            {"step": start + i + 1} | {name: values[i] for name, values in numbers.items()}
            for i in range(count)
            if (start + i + 1) % every == 0
        ]
        self._add(new)

    def evaluation(self, step: int, values: dict[str, float]) -> None:
        """Add the row of an evaluation after `step` steps."""
        row: Row = {"eval_step": step}
        self._add([row | {name: _shortest([v])[0] for name, v in values.items()}])

    def history(self) -> dict[str, np.ndarray]:
        """`{"step": ..., "loss": ..., "eval_step": ..., "val_loss": ...}`: a column a name."""
        columns: dict[str, list[Any]] = {}
        for row in self.rows:
            for name, value in row.items():
                columns.setdefault(name, []).append(math.nan if value is None else value)
        return {
            name: np.array(values, np.int64 if name in ("step", "eval_step") else np.float32)
            for name, values in columns.items()
        }

    def sync(self) -> None:
        """Put all rows on the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _add(self, rows: list[Row]) -> None:
        self.rows += rows
        self._write(rows)

    def _write(self, rows: Iterable[Row]) -> None:
        if self._file is not None:
            self._file.writelines(json.dumps(row) + "\n" for row in rows)


def _shortest(values: Any) -> list[float | None]:
    """float32 as the shortest decimals that read back as it; what is not finite as None."""
    return [float(str(v)) if np.isfinite(v) else None for v in np.asarray(values, np.float32)]


def _step(row: Row) -> float:
    return row.get("step") or row.get("eval_step") or math.inf


def _read(path: pathlib.Path) -> list[Row]:
    """The rows up to the first that is not whole, which a killed process may leave."""
    rows: list[Row] = []
    if not path.exists():
        return rows
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            break
        if not isinstance(row, dict):
            break
        rows.append(row)
    return rows


class Timings:
    """`timings.jsonl`: what the clock says, apart from the log, which must not differ.

    Its totals are those of all the sessions of a run.
    """

    def __init__(self, path: pathlib.Path | None):
        self.rows: list[Any] = _read(path) if path else []
        self._file = open(path, "a") if path else None  # noqa: SIM115 - closed by `close`

    def add(self, **row: float) -> None:
        row = {name: round(value, 6) for name, value in row.items()}
        self.rows.append(row)
        if self._file:
            self._file.write(json.dumps(row) + "\n")

    def total(self, name: str) -> float:
        return sum(row.get(name, 0.0) for row in self.rows)

    def close(self) -> None:
        if self._file:
            self._file.close()
