"""How the runs of a sweep stand."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from jaxopt_lab.config.sweep import Sweep
from jaxopt_lab.config.tables import better
from jaxopt_lab.engine import Chunk, Finish
from jaxopt_lab.run.records.history import History, last_metrics
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.records.sweep_records import RunRecord, score
from jaxopt_lab.sweeps import survivors


class Standings:
    """What each run has measured, which have ended and how, and which is the best.

    Attributes:
      monitor: the metric that runs are compared by.
      records: of each run, None until it has ended.
      histories: of each run.
    """

    def __init__(self, plan: Sweep, monitor: str, folder: SweepFolder | None):
        self.plan, self.monitor, self._folder = plan, monitor, folder
        self.records: list[RunRecord | None] = [None] * len(plan.runs)
        self.histories = [History() for _ in plan.runs]
        self._best_value: float | None = None

    @property
    def left(self) -> list[int]:
        """The runs that have not ended."""
        return [run for run, record in enumerate(self.records) if record is None]

    def add(self, runs: Sequence[int], chunk: Chunk) -> None:
        """Add a chunk of these runs."""
        for place, run in enumerate(runs):
            self.histories[run].add(chunk, place)

    def end(self, ended: Mapping[int, tuple[str, Finish | None]]) -> None:
        """End runs together, each with why and with what it keeps, and write them down."""
        for run, (stopped_by, finish) in ended.items():
            self.records[run] = self._record(run, stopped_by, finish)
        if self._folder and ended:
            self._folder.add({run: self._record_of(run) for run in ended})

    def halve(self, keep: int) -> None:
        """End all but the `keep` best of the runs that are left."""
        left = self.left
        scores = [score(self._record(run, "halved"), self.monitor) for run in left]
        best = {left[place] for place in survivors(scores, keep)}
        self.end({run: ("halved", None) for run in left if run not in best})

    def best(self) -> int | None:
        """The run with the best score of those that have ended; None where none has one."""
        scores = [score(record, self.monitor) for record in self.records]
        return None if np.isnan(scores).all() else int(np.nanargmin(scores))

    def best_value(self) -> float | None:
        """The best value of the monitor yet, of runs that go on too."""
        values = [history.last(self.monitor) for history in self.histories]
        finite = [v for v in (*values, self._best_value) if v is not None and math.isfinite(v)]
        if finite:
            self._best_value = max(finite) if better(self.monitor) == "max" else min(finite)
        return self._best_value

    def _record_of(self, run: int) -> RunRecord:
        record = self.records[run]
        assert record is not None
        return record

    def _record(self, run: int, stopped_by: str, finish: Finish | None = None) -> RunRecord:
        history = self.histories[run]
        columns = history.columns()
        record = RunRecord(
            self.plan.runs[run].values, stopped_by, history.steps, last_metrics(columns), columns
        )
        if finish is None:
            return record
        return record._replace(
            test=finish.tests[finish.kept], params=finish.params, model_state=finish.model_state
        )
