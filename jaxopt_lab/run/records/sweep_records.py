"""What the runs of a sweep leave."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxopt_lab.config.sweep import Sweep
from jaxopt_lab.config.tables import better
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import stack_trees
from jaxopt_lab.core.types import ModelState, Params

if TYPE_CHECKING:
    from jaxopt_lab.run.records.member import Members
    from jaxopt_lab.run.records.run import Run
    from jaxopt_lab.run.records.run_ensemble import RunEnsemble


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


class Setting(NamedTuple):
    """The runs of a sweep that differ in their seed alone.

    Attributes:
      runs: their indices; of those that have not ended, none.
      mean: of the monitored metric over them; NaN where one has diverged or measured nothing.
    """

    runs: tuple[int, ...]
    mean: float


class SweepResult(NamedTuple):
    """What a sweep leaves.

    Attributes:
      runs: a record for each run that has ended, in the sweep's order; None for the others.
      monitor: the metric that runs are compared by.
      settings: the best first, by the mean over their seeds of the monitor at the kept step.
      run_dir: the sweep's folder, or None.
      stopped_by: "finished" or "interrupted".
      seconds: of the whole, compilation included.
      trained: the runs as networks, behind `run` and `ensemble`.
    """

    runs: tuple[RunRecord | None, ...]
    monitor: str
    settings: tuple[Setting, ...]
    run_dir: pathlib.Path | None
    stopped_by: str
    seconds: float
    trained: "Members | None" = None

    def run(self, member: int | None = None) -> "Run":
        """A run as `load_run` gives it, with or without a folder; None for the best.

        Raises:
          InputError: where there is no such run, or it kept no parameters.
        """
        trained = self._networks()
        return trained.run(trained.best if member is None else member)

    def ensemble(self, best: int | None = None) -> "RunEnsemble":
        """The `best` runs, in the order of their settings, as one network; None for all.

        Raises:
          InputError: where there are not so many that kept parameters.
        """
        return self._networks().ensemble(best)

    def _networks(self) -> "Members":
        if self.trained is None:
            raise InputError("this result holds no networks: it was made without `sweep`")
        return self.trained

    @property
    def best(self) -> int | None:
        """The best run of the best setting; None where that has no mean."""
        if not self.settings or math.isnan(self.settings[0].mean):
            return None
        return min(self.settings[0].runs, key=lambda run: score(self.runs[run], self.monitor))

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


def ranked(plan: Sweep, records: Sequence[RunRecord | None], monitor: str) -> list[Setting]:
    """The settings of a sweep, the best first: all that shows a best takes it from here.

    By the mean of the monitored metric over the seeds, each at the step that its run kept; those
    without one are last, and before them those of which some seeds are missing. With halving,
    those that were trained longest come first.
    """
    planned: dict[str, list[int]] = {}
    for run, (values, _) in enumerate(plan.runs):
        key = repr({k: v for k, v in values.items() if k != "seed"})
        planned.setdefault(key, []).append(run)
    found = []
    for runs in planned.values():
        there = {run: record for run in runs if (record := records[run]) is not None}
        if there:
            mean = float(np.mean([score(record, monitor) for record in there.values()]))
            steps = max(record.steps for record in there.values())
            shorter = -steps if plan.settings.halving else 0
            order = (math.isnan(mean), len(there) < len(runs), shorter, mean)
            sign = -1 if better(monitor) == "max" else 1
            found.append((order, Setting(tuple(there), sign * mean)))
    return [setting for _, setting in sorted(found, key=lambda pair: pair[0])]


def score(record: RunRecord | None, monitor: str) -> float:
    """A run's metric as a number that is better the lower; NaN where it has none."""
    if record is None or record.stopped_by == "diverged":
        return float("nan")
    value = record.metrics.get(monitor, float("nan"))
    return -value if better(monitor) == "max" else value
