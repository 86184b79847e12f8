"""A sweep and its trackers: one run each, sent when it has ended."""

import json
from collections.abc import Callable, Sequence
from types import MappingProxyType

from jaxopt_lab.config.sweep import Run, Sweep
from jaxopt_lab.core.types import Logger
from jaxopt_lab.run.process import distributed
from jaxopt_lab.run.records.json_lines import append_lines, read_lines
from jaxopt_lab.run.records.sweep_folder import SweepFolder
from jaxopt_lab.run.records.sweep_records import RunRecord
from jaxopt_lab.run.trackers.background import Background
from jaxopt_lab.run.trackers.hyperparameters import hyperparameters
from jaxopt_lab.run.trackers.rows import MOST_ROWS, rows_each, rows_of_history
from jaxopt_lab.run.trackers.tracker import Given, Parameters, Tracker
from jaxopt_lab.run.trackers.tracking import (
    EVENTS,
    About,
    Make,
    makers,
    scores_of,
    values_of,
)

SWEEP_ROWS = 100_000
"""Of training in all runs together, but 100 of a run in any case."""


class SweepTracking:
    """What a sweep sends to the trackers of its runs.

    Runs of a wave train side by side, and a tracker has one run after another: so each is sent as a
    whole when it has ended, and a run that is trained again after a crash is sent once. Which have
    been sent is in the sweep's folder; a sweep that goes on sends those that are missing.
    """

    def __init__(
        self,
        plan: Sweep,
        folder: SweepFolder | None,
        classes: Sequence[str],
        loggers: Callable[[Run], Logger] | None = None,
    ):
        """Begin the trackers of the configurations.

        Args:
          plan: the sweep.
          folder: of it, or None.
          classes: names of the classes of the data.
          loggers: what makes the logger of a run.
        """
        self._plan, self._folder, self._classes, self._loggers = plan, folder, classes, loggers
        self._most = min(MOST_ROWS, max(100, SWEEP_ROWS // len(plan.runs)))
        names = {name for i in range(len(plan.runs)) for name in self._makers(i)}
        # In a sweep of several processes the first one alone.
        first = distributed.is_first()
        self._trackers = {name: Background(name, Tracker) for name in sorted(names) if first}
        self._file = folder and folder.path / "trackers.jsonl"
        rows = read_lines(self._file) if self._file else ()
        self._sent = {(row["tracker"], row["run"]) for row in rows}

    def add(self, run: int, record: RunRecord) -> None:
        """Send a run that has ended, where it has not been sent."""
        for name, tracker in self._trackers.items():
            if (name, run) not in self._sent:
                self._sent.add((name, run))
                tracker.do(lambda _, name=name: self._send(name, run, record))

    def close(self) -> None:
        """Wait for the trackers as long as they get on."""
        for tracker in self._trackers.values():
            tracker.close()

    def _makers(self, i: int, parameters: Parameters = MappingProxyType({})) -> dict[str, Make]:
        run, folder = self._plan.runs[i], self._folder and self._folder.path.resolve()
        group = folder.name if folder else "sweep"
        events = folder and folder / EVENTS / f"run-{i:04d}"
        about = About(f"{group}-{i:04d}", parameters, folder, events, group=group)
        found = makers(run.config.log, about)
        if (logger_of := self._loggers) is not None:
            found["loggers"] = lambda: Given(logger_of(run))
        return found

    def _send(self, name: str, i: int, record: RunRecord) -> None:
        run, steps = self._plan.runs[i], record.steps
        swept = {k: v if isinstance(v, _SCALARS) else str(v) for k, v in run.values.items()}
        parameters = {**hyperparameters(run.config, self._classes), **swept}
        tracker = self._makers(i, parameters)[name]()
        apart = rows_each(steps, run.config.train.log_every, self._most)
        tracker.rows(rows_of_history(record.history, apart))
        if record.params is not None:
            tracker.histograms(values_of(record.params), steps)
        if scores := scores_of(record.test):
            tracker.scores(scores, steps)
        tracker.end(record.stopped_by)
        if self._file:
            with append_lines(self._file) as file:
                file.write(json.dumps({"tracker": name, "run": i}) + "\n")


_SCALARS = bool | int | float | str
