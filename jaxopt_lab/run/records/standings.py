"""How the runs of a sweep stand."""

from collections.abc import Callable, Collection, Mapping, Sequence

from jaxopt_lab.config.sweep import Sweep
from jaxopt_lab.engine import Chunk, Finish
from jaxopt_lab.run.records.history import History, last_metrics, metrics_at
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.records.sweep_records import RunRecord, Setting, ranked, score
from jaxopt_lab.sweeps import survivors


class Standings:
    """What each run has measured, which have ended and how, and which is the best.

    Attributes:
      monitor: the metric that runs are compared by.
      records: of each run, None until it has ended.
      histories: of each run.
    """

    def __init__(
        self,
        plan: Sweep,
        monitor: str,
        folder: SweepFolder | None,
        *,
        told: Callable[[int, RunRecord], None] = lambda run, record: None,
    ):
        """Begin with runs of which none has ended.

        Args:
          plan: the sweep.
          monitor: the metric that runs are compared by.
          folder: of the sweep, or None.
          told: of each run that has ended, once it is written down.
        """
        self.plan = plan
        self.monitor = monitor
        self._folder, self._told = folder, told
        self.records: list[RunRecord | None] = [None] * len(plan.runs)
        self.histories: list[History] = [History() for _ in plan.runs]

    @property
    def left(self) -> list[int]:
        """The runs that have not ended."""
        return [run for run, record in enumerate(self.records) if record is None]

    def add(self, runs: Sequence[int], chunk: Chunk) -> None:
        """Add a chunk of these runs."""
        # The histories keep it a while: without the state, and copies, as what a program gives has
        # room for more steps than were taken.
        rows = {name: values.copy() for name, values in chunk.rows.items()}
        chunk = chunk._replace(state=None, rows=rows)
        for place, run in enumerate(runs):
            self.histories[run].add(chunk, place)

    def end(self, ended: Mapping[int, tuple[str, Finish | None]]) -> None:
        """End runs together, each with why and with what it keeps, and write them down."""
        for run, (stopped_by, finish) in ended.items():
            self.records[run] = self._record(run, stopped_by, finish)
        if self._folder and ended:
            self._folder.add({run: self._record_of(run) for run in ended})
        for run in ended:
            self._told(run, self._record_of(run))

    def best(self, keep: int, lost: Collection[int] = ()) -> list[int]:
        """The `keep` best of the runs that are left and not `lost`."""
        left = [run for run in self.left if run not in lost]
        scores = [score(self._record(run, "halved"), self.monitor) for run in left]
        return [left[place] for place in survivors(scores, keep)]

    def ranked(self) -> list[Setting]:
        """The settings, the best first; a run under way counts by what it measured last."""
        found = [
            record or self._under_way(run, history)
            for run, (record, history) in enumerate(zip(self.records, self.histories, strict=True))
        ]
        return ranked(self.plan, found, self.monitor)

    def _under_way(self, run: int, history: History) -> RunRecord | None:
        value = history.last(self.monitor)
        if value is None:
            return None
        values = self.plan.runs[run].values
        return RunRecord(values, "", history.steps, {self.monitor: value}, {})

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
            metrics=metrics_at(columns, finish.step),
            kept_step=finish.step,
            test=finish.tests[finish.kept],
            params=finish.params,
            model_state=finish.model_state,
        )
