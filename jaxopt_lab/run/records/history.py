"""What one run has measured."""

import itertools
from collections.abc import Collection
from typing import Any

import numpy as np

from jaxopt_lab.core.metrics import is_of_evaluation, is_of_layers
from jaxopt_lab.engine import Chunk

Columns = dict[str, np.ndarray]
"""`{"step": (n,), "loss": (n,), ...}` or `{"eval_step": ..., "val_loss": ...}`."""

STEP, EVAL_STEP = "step", "eval_step"

TOGETHER = 100
"""Chunks that a history takes apart at once."""


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """At most twice as many as `most` of the values of a column, evenly, the first among them."""
    return np.asarray(values)[:: max(1, len(values) // most)]


def rows_of(chunk: Chunk, run: int = 0, *, every: Collection[int] = (1,)) -> list[Columns]:
    """What a run measured in a chunk: its steps, and the evaluation where there was one.

    A step is the number of steps taken, so row 20 is the state after 20 steps.

    Args:
      chunk: of one run or many.
      run: which of them.
      every: of the steps those count that one of these divides.
    """
    taken = int(chunk.steps[run])
    steps = np.arange(chunk.start + 1, taken + 1)
    rows = slice(max(0, len(steps)))
    if 1 not in every:
        rows = np.flatnonzero(np.any([steps % each == 0 for each in every], axis=0))
    found = [{STEP: steps[rows]} | {k: v[run, rows] for k, v in chunk.rows.items()}]
    if chunk.evaluation is not None and taken == chunk.end:
        measured = {k: v[run : run + 1] for k, v in chunk.evaluation.items()}
        found.append({EVAL_STEP: np.array([taken])} | measured)
    return found


class History:
    """The metrics of one run so far, as columns.

    Attributes:
      steps: that the run has taken.
      thinned: whether rows were left out for `most`.
    """

    def __init__(self, columns: Columns | None = None, *, most: int | None = None):
        """Begin, or go on from `columns`.

        Args:
          columns: what was measured before.
          most: rows to hold at a time; past it every second goes, and so on. None for all.
        """
        self._columns: dict[str, _Column] = {}
        self._later: list[tuple[Chunk, int]] = []
        self._most = most
        self.thinned: bool = False
        for name, values in (columns or {}).items():
            self._column(name).add(values)
        self.steps: int = int(self.last(STEP) or 0)

    def add(self, chunk: Chunk, run: int = 0) -> None:
        """Add a chunk, in which this run has the given place.

        Some are held as they are and taken apart together, or when a column is asked for: one by
        one that of hundreds of runs takes as long as their steps.
        """
        self._later.append((chunk, run))
        self.steps = int(chunk.steps[run])
        if len(self._later) == TOGETHER:
            self.columns()

    def add_rows(self, rows: Columns) -> None:
        """Add rows of steps or of an evaluation."""
        for name, values in self._with_layers(rows).items():
            column = self._column(name)
            column.add(values)
            self.thinned |= column.stride > 1

    def _with_layers(self, rows: Columns) -> Columns:
        """Rows of steps with a place for each number of a layer; rows of a file may have none."""
        if STEP not in rows:
            return rows
        if (steps := self._columns.get(STEP)) is not None:
            for name in rows:
                if name not in self._columns:
                    self._column(name).add(np.full(steps.seen, np.nan, np.float32))
        nothing = np.full(len(rows[STEP]), np.nan, np.float32)
        known = filter(is_of_layers, self._columns)
        return rows | {name: nothing for name in known if name not in rows}

    def has_no_room(self, rows: Columns) -> bool:
        """Whether these would be the first rows that thin it out."""
        size = max(column.size for column in self._columns.values()) if self._columns else 0
        added = max(map(len, rows.values()))
        return self._most is not None and not self.thinned and size + added > self._most

    def columns(self) -> Columns:
        """A NumPy column a name: `step`, `loss`, ..., `eval_step`, `val_loss`, ..."""
        parts = [rows for chunk, run in self._later for rows in rows_of(chunk, run)]
        self._later = []
        parts.sort(key=lambda rows: EVAL_STEP in rows)
        for names, alike in itertools.groupby(parts, tuple):
            together = list(alike)
            self.add_rows({k: np.concatenate([rows[k] for rows in together]) for k in names})
        return {name: column.values() for name, column in self._columns.items()}

    def last(self, name: str) -> float | None:
        """The newest value of a metric."""
        for chunk, run in reversed(self._later):
            for rows in reversed(rows_of(chunk, run)):
                if len(rows.get(name, ())):
                    return float(rows[name][-1])
        column = self._columns.get(name)
        return None if column is None else column.last

    def _column(self, name: str) -> "_Column":
        return self._columns.setdefault(name, _Column(self._most))


class _Column:
    """An array that grows, to twice its size at a time; past `most` values every second goes."""

    def __init__(self, most: int | None):
        self._most, self.stride = most, 1
        self._array, self.size, self.seen = np.empty(0), 0, 0
        self.last: float | None = None

    def add(self, values: np.ndarray) -> None:
        if len(values):
            self.last = float(values[-1])
        # The last of so many, as what is measured every so many steps is.
        kept = values[-(self.seen + 1) % self.stride :: self.stride]
        self.seen += len(values)
        size = self.size + len(kept)
        if size > len(self._array):
            grown = np.empty(max(size, 2 * len(self._array)), values.dtype)
            grown[: self.size] = self.values()
            self._array = grown
        self._array[self.size : size] = kept
        self.size = size
        while self._most is not None and self.size > self._most:
            self._array = self.values()[1::2].copy()
            self.size, self.stride = len(self._array), 2 * self.stride

    def values(self) -> np.ndarray:
        return self._array[: self.size]


def metrics_at(columns: Columns, step: int) -> dict[str, Any]:
    """Each metric of the parameters after so many steps, the newest where it was not measured then.

    A row of training was measured at the parameters before its step. Numbers of layers are left
    out.
    """
    evaluated = columns.get(EVAL_STEP, np.zeros(0))
    evaluation = max(0, int(np.searchsorted(evaluated, step, side="right")) - 1)
    found = {}
    for name, values in columns.items():
        if name in (STEP, EVAL_STEP) or is_of_layers(name) or not len(values):
            continue
        place = evaluation if is_of_evaluation(name) else min(step, len(values) - 1)
        found[name] = float(values[place])
    return found


def last_metrics(columns: Columns) -> dict[str, Any]:
    """The last value of each metric; numbers of layers are none."""
    return {
        k: float(v[-1])
        for k, v in columns.items()
        if k not in (STEP, EVAL_STEP) and not is_of_layers(k) and len(v)
    }
