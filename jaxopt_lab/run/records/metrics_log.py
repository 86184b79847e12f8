"""The log of a run: its history, and a line of JSON a row where the run has a folder."""

import json
import math
import os
import pathlib
from typing import Any

import numpy as np

from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.engine import Chunk
from jaxopt_lab.run.records.history import EVAL_STEP, STEP, Columns, History
from jaxopt_lab.run.records.json_lines import as_rows, read_lines


class MetricsLog:
    """Rows of training, `{"step": 20, "loss": ...}`, and of evaluation, `{"eval_step": 20, ...}`.

    Rows hold nothing that differs between two runs of the same configuration: no clock, no machine.
    """

    def __init__(self, path: pathlib.Path | None, *, every: int = 1, until: int = 0):
        """Open the log of a run that stands at step `until`; rows past it are dropped."""
        rows = [row for row in read_lines(path) if _step(row) <= until] if path else []
        self.history = History(_columns(rows), every=every)
        self.history.steps = until  # the last row may be an earlier one, of a log of every n steps
        self._file = None
        if path is not None:
            # Whole or as it was: a kill in this moment must not lose the log.
            write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
            self._file = open(path, "a")  # noqa: SIM115 - closed by `close`

    def add(self, chunk: Chunk) -> None:
        """Add the rows of a chunk."""
        for columns in self.history.add(chunk):
            if self._file is not None:
                self._file.writelines(json.dumps(row) + "\n" for row in as_rows(columns))

    def sync(self) -> None:
        """Put all rows on the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def read_history(path: pathlib.Path) -> Columns:
    """The columns of a log on the disk."""
    return _columns(read_lines(path))


def last_step(path: pathlib.Path) -> int:
    """The last step that a log on the disk has a row of; 0 where there is none."""
    return max((row.get(STEP) or row.get(EVAL_STEP) or 0 for row in read_lines(path)), default=0)


def _step(row: dict[str, Any]) -> float:
    return row.get(STEP) or row.get(EVAL_STEP) or math.inf


def _columns(rows: list[dict[str, Any]]) -> Columns:
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(math.nan if value is None else value)
    return {
        name: np.array(values, np.int64 if name in (STEP, EVAL_STEP) else np.float32)
        for name, values in columns.items()
    }
