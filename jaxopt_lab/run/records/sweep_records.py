"""The runs of a sweep that have ended, and their order."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.config.sweep import Sweep
from jaxopt_lab.config.tables import better
from jaxopt_lab.core.readable import printable
from jaxopt_lab.core.types import ModelState, Params


class RunRecord(NamedTuple):
    """One run of a sweep, when it has ended.

    Attributes:
      values: what the axes and the seed say.
      stopped_by: "finished", "early_stopping", "diverged" or "halved".
      steps: that it took.
      metrics: `val_loss`, `loss` and so on at the step whose parameters it kept; where it kept
        none, the last.
      history: NumPy columns, as of `train`.
      test: `{"loss": ..., "accuracy": ...}`; empty where it did not come to its end.
      params, model_state: what it kept; None where it did not come to its end, or diverged without
        a best to keep.
      kept_step: the step that they belong to.
    """

    values: Mapping[str, Any]
    stopped_by: str
    steps: int
    metrics: dict[str, float]
    history: dict[str, np.ndarray]
    test: Mapping[str, float] = MappingProxyType({})
    params: Params | None = None
    model_state: ModelState | None = None
    kept_step: int | None = None

    def __repr__(self) -> str:
        values = ", ".join(f"{name} = {value}" for name, value in self.values.items())
        scores = ", ".join(f"{k} {v:.4g}" for k, v in self.metrics.items())
        ended = f"{self.stopped_by} at step {self.steps:,}"
        return printable(f"<RunRecord of {values or 'a run'}: {ended}; {scores}>")


class Setting(NamedTuple):
    """The runs of a sweep that differ in their seed alone.

    Attributes:
      runs: their indices; of those that have not ended, none.
      mean: of the monitored metric over them; NaN where one has diverged or measured nothing.
    """

    runs: tuple[int, ...]
    mean: float


def ranked(plan: Sweep, records: Sequence[RunRecord | None], monitor: str) -> list[Setting]:
    """The settings of a sweep, the best first: all that shows a best takes it from here.

    By the mean of the monitored metric over the seeds, each at the step that its run kept; those
    without one are last, and before them those of which some seeds are missing. With halving,
    those that were trained longest come first.
    """
    sign, found = _sign(monitor), []
    for runs in plan.by_setting:
        there = {run: record for run in runs if (record := records[run]) is not None}
        if there:
            scores = [_value(record, monitor) for record in there.values()]
            mean = sign * (float(np.mean(scores)) if len(scores) > 1 else scores[0])
            steps = max(record.steps for record in there.values())
            shorter = -steps if plan.settings.halving else 0
            order = (math.isnan(mean), len(there) < len(runs), shorter, mean)
            found.append((order, Setting(tuple(there), sign * mean)))
    return [setting for _, setting in sorted(found, key=lambda pair: pair[0])]


def score(record: RunRecord | None, monitor: str) -> float:
    """A run's metric as a number that is better the lower; NaN where it has none."""
    return _sign(monitor) * _value(record, monitor)


def _sign(monitor: str) -> int:
    return -1 if better(monitor) == "max" else 1


def _value(record: RunRecord | None, monitor: str) -> float:
    if record is None or record.stopped_by == "diverged":
        return float("nan")
    return record.metrics.get(monitor, float("nan"))
