"""What the runs of a sweep leave."""

import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.sweeps import RunsChunk


class RunRecord(NamedTuple):
    """One run of a sweep, when it has ended.

    Attributes:
      values: what the axes and the seed say.
      stopped_by: "finished", "early_stopping", "diverged" or "halved".
      steps: that it took.
      metrics: of the last evaluation, `val_loss` and so on, and of the last step.
      history: NumPy columns, as of `train`.
      test: `{"loss": ..., "accuracy": ...}`; empty where it did not come to its end.
      params, model_state: what it kept; None where it did not come to its end.
    """

    values: Mapping[str, Any]
    stopped_by: str
    steps: int
    metrics: dict[str, float]
    history: dict[str, np.ndarray]
    test: Mapping[str, float] = MappingProxyType({})
    params: Any = None
    model_state: Any = None


class SweepResult(NamedTuple):
    """What a sweep leaves.

    Attributes:
      runs: a record for each run that has ended, in the sweep's order; None for the others.
      monitor: the metric that runs are compared by.
      best: index of the best run by it, or None.
      run_dir: the sweep's folder, or None.
      stopped_by: "finished" or "interrupted".
      seconds: of the whole, compilation included.
    """

    runs: tuple[RunRecord | None, ...]
    monitor: str
    best: int | None
    run_dir: pathlib.Path | None
    stopped_by: str
    seconds: float

    def members(self, indices: Sequence[int] | None = None) -> dict[str, Any]:
        """Variables of runs of one structure, stacked, for `engine.ensemble_predict`.

        Args:
          indices: of runs; None for all that came to their end.

        Returns:
          `{"params": ..., ...}`, each leaf with a leading axis of members.

        Raises:
          InputError: where a run has no parameters, or they do not stack.
        """
        chosen = [i for i, r in enumerate(self.runs) if r and r.params is not None]
        chosen = chosen if indices is None else list(indices)
        found = []
        for i in chosen:
            record = self.runs[i]
            if record is None or record.params is None:
                why = record.stopped_by if record else "not run"
                raise InputError(f"members: run {i} kept no parameters: {why}")
            found.append({"params": record.params, **(record.model_state or {})})
        if len({str(jax.tree.map(np.shape, f)) for f in found}) != 1:
            raise InputError("members: give indices of one or more runs of one structure")
        return jax.tree.map(lambda *x: jnp.stack(x), *found)


class Course:
    """What one run of a sweep has measured so far."""

    def __init__(self) -> None:
        self.steps = 0
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, place: int, chunk: RunsChunk) -> None:
        """Add a chunk, in which this run has the given place."""
        taken = int(chunk.steps[place])
        new = max(0, taken - chunk.start)
        self._append("step", np.arange(chunk.start + 1, chunk.start + 1 + new))
        for name, values in chunk.rows.items():
            self._append(name, values[place, :new])
        if chunk.evaluation is not None and taken == chunk.start + chunk.count:
            self._append("eval_step", np.array([taken]))
            for name, values in chunk.evaluation.items():
                self._append(name, values[place : place + 1])
        self.steps = taken

    def go_on(self, history: dict[str, np.ndarray]) -> None:
        """Begin with what a sweep that was killed had measured."""
        self._parts = {name: [values] for name, values in history.items()}
        self.steps = int(history["step"][-1]) if len(history.get("step", ())) else 0

    def history(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}

    def last(self, name: str) -> float | None:
        """The newest value of a metric."""
        parts = [part for part in self._parts.get(name, ())[-1:] if len(part)]
        return float(parts[-1][-1]) if parts else None

    def _append(self, name: str, values: np.ndarray) -> None:
        self._parts.setdefault(name, []).append(values)


def score(record: "RunRecord | None", monitor: str) -> float:
    """A run's metric as a number that is better the lower; NaN where it has none."""
    if record is None or record.stopped_by == "diverged":
        return float("nan")
    value = record.metrics.get(monitor, float("nan"))
    return -value if is_better_high(monitor) else value


def is_better_high(monitor: str) -> bool:
    return monitor.endswith("accuracy")
