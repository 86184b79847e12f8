"""What trackers are given of the metrics: rows, fewer than the log has."""

import math
from collections.abc import Iterable

from jaxopt_lab.core.metrics import is_measured_at_times, is_of_evaluation
from jaxopt_lab.run.records.history import EVAL_STEP, STEP, Columns
from jaxopt_lab.run.trackers.tracker import Row

MOST_ROWS = 2000
"""Of training in a run; the local log has all."""


def rows_each(total: int, log_every: int, most: int = MOST_ROWS) -> int:
    """Steps between rows of a run of `total` steps: a multiple of those between rows of its log."""
    return log_every * max(1, math.ceil(total / log_every / most))


def merged(pieces: Iterable[Columns]) -> list[Row]:
    """Rows of training and of evaluations as one a step, in order.

    What is measured every so many steps is in the rows of those steps alone.
    """
    rows: dict[int, dict[str, float]] = {}
    for columns in pieces:
        kind = STEP if STEP in columns else EVAL_STEP
        values = {k: v.tolist() for k, v in columns.items() if k != kind}
        for i, step in enumerate(columns[kind].tolist()):
            rows.setdefault(step, {}).update(
                (name, column[i])
                for name, column in values.items()
                if not (is_measured_at_times(name) and math.isnan(column[i]))
            )
    return sorted(rows.items())


def rows_of_history(columns: Columns, every: int) -> list[Row]:
    """The rows of a whole run: of training those of steps that `every` divides."""
    steps, pieces = columns.get(STEP), []
    if steps is not None:
        wanted = steps % every == 0
        for name, values in columns.items():
            if is_measured_at_times(name):
                wanted = wanted | (values == values)
        names = [k for k in columns if k != EVAL_STEP and not is_of_evaluation(k)]
        pieces.append({name: columns[name][wanted] for name in names})
    if EVAL_STEP in columns:
        pieces.append({k: v for k, v in columns.items() if k == EVAL_STEP or is_of_evaluation(k)})
    return merged(pieces)
