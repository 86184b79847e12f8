"""What the runs of a sweep leave."""

import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_lab.config.tables import better
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import stack_trees
from jaxopt_lab.core.types import ModelState, Params


class RunRecord(NamedTuple):
    """One run of a sweep, when it has ended.

    Attributes:
      values: what the axes and the seed say.
      stopped_by: "finished", "early_stopping", "diverged" or "halved".
      steps: that it took.
      metrics: of the last evaluation, `val_loss` and so on, and of the last step.
      history: NumPy columns, as of `train`.
      test: `{"loss": ..., "accuracy": ...}`; empty where it did not come to its end.
      params, model_state: what it kept; None where it did not come to its end, or diverged without
        a best to keep.
    """

    values: Mapping[str, Any]
    stopped_by: str
    steps: int
    metrics: dict[str, float]
    history: dict[str, np.ndarray]
    test: Mapping[str, float] = MappingProxyType({})
    params: Params | None = None
    model_state: ModelState | None = None


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
          indices: of runs; None for all that kept parameters.

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
        return stack_trees(found)


def score(record: RunRecord | None, monitor: str) -> float:
    """A run's metric as a number that is better the lower; NaN where it has none."""
    if record is None or record.stopped_by == "diverged":
        return float("nan")
    value = record.metrics.get(monitor, float("nan"))
    return -value if better(monitor) == "max" else value
