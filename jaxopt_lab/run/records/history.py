"""What one run has measured."""

from typing import Any

import numpy as np

from jaxopt_lab.engine import Chunk

Columns = dict[str, np.ndarray]
"""`{"step": (n,), "loss": (n,), ...}` or `{"eval_step": ..., "val_loss": ...}`."""

STEP, EVAL_STEP = "step", "eval_step"


class History:
    """The metrics of one run so far, as columns.

    A step is the number of steps taken, so row 20 is the state after 20 steps.
    """

    def __init__(self, columns: Columns | None = None, *, every: int = 1):
        """Begin, or go on from `columns`; of the steps those count that `every` divides."""
        columns = columns or {}
        self._parts = {name: [values] for name, values in columns.items()}
        self._every = every
        self.steps = int(columns[STEP][-1]) if len(columns.get(STEP, ())) else 0

    def add(self, chunk: Chunk, run: int = 0) -> list[Columns]:
        """Add a chunk, in which this run has the given place.

        Returns:
          What was added: rows of steps, and the row of an evaluation where there was one.
        """
        self.steps = int(chunk.steps[run])
        skipped = -(chunk.start + 1) % self._every  # steps to the first that counts
        rows = slice(skipped, max(skipped, self.steps - chunk.start), self._every)
        steps = np.arange(chunk.start + 1, chunk.end + 1)
        added = [{STEP: steps[rows]} | {k: v[run, rows] for k, v in chunk.rows.items()}]
        if chunk.evaluation is not None and self.steps == chunk.end:
            measured = {k: v[run : run + 1] for k, v in chunk.evaluation.items()}
            added.append({EVAL_STEP: np.array([self.steps])} | measured)
        for columns in added:
            for name, values in columns.items():
                self._parts.setdefault(name, []).append(values)
        return added

    def columns(self) -> Columns:
        """A NumPy column a name: `step`, `loss`, ..., `eval_step`, `val_loss`, ..."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}

    def last(self, name: str) -> float | None:
        """The newest value of a metric."""
        parts = [part for part in self._parts.get(name, ())[-1:] if len(part)]
        return float(parts[-1][-1]) if parts else None


def last_metrics(columns: Columns) -> dict[str, Any]:
    """The last value of each metric."""
    return {k: float(v[-1]) for k, v in columns.items() if k not in (STEP, EVAL_STEP) and len(v)}
