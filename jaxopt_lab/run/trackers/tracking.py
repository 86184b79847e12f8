"""A run and its trackers."""

import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import LogConfig
from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.tree import flatten_with_names, is_trained
from jaxopt_lab.core.types import Logger, Params
from jaxopt_lab.engine import Chunk, Experiment
from jaxopt_lab.run.process import distributed
from jaxopt_lab.run.records.answers import Answers
from jaxopt_lab.run.records.history import rows_of
from jaxopt_lab.run.records.scores import numbers_of
from jaxopt_lab.run.trackers.background import Background
from jaxopt_lab.run.trackers.hyperparameters import hyperparameters
from jaxopt_lab.run.trackers.rows import merged, rows_each
from jaxopt_lab.run.trackers.tracker import Given, Parameters, Tracker
from jaxopt_lab.run.trackers.worst import worst_pictures

MOST_VALUES = 2**16
"""Of a parameter, evenly among them, for its histogram."""

EXTRAS = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}
"""Keys of `[log]` and extras of this package -> what each of them imports."""

EVENTS = "tensorboard"
"""Of a run's folder, the one with event files."""

TEST = "test_"
"""Of the test split, once the run has ended: "test_loss"."""

Make = Callable[[], Tracker]


class About(NamedTuple):
    """What a tracker is told of a run.

    Attributes:
      name: of the run.
      parameters: its hyperparameters.
      folder: of the run, or of the sweep that it is of; None for none.
      events: where event files go.
      start: the step that it stands at.
      group: the sweep that it is of; such a run is sent as a whole, so that no id is kept.
    """

    name: str
    parameters: Parameters
    folder: pathlib.Path | None
    events: pathlib.Path | None
    start: int = 0
    group: str | None = None

    def state(self, name: str) -> pathlib.Path | None:
        """The file in which a tracker keeps the run's id."""
        return None if self.folder is None or self.group else self.folder / name


def check_trackers(log: LogConfig, run_dir: str | os.PathLike[str] | None) -> None:
    """Make sure, before any work, that the trackers of a file can begin.

    Raises:
      InputError: where a package is missing, or there is no folder for event files.
    """
    for key, module in EXTRAS.items():
        if getattr(log, key) is not None:
            require(module, key)
    if log.tensorboard is not None and run_dir is None:
        raise InputError("log.tensorboard: event files go into the run's folder: give run_dir")


def check_loggers(loggers: Sequence[Logger]) -> None:
    """Make sure that each has `.log(dict, step=)`.

    Raises:
      InputError: naming the one that has not.
    """
    if not isinstance(loggers, Iterable):
        raise InputError(f"loggers must be a list of objects with .log(dict, step=), got {loggers}")
    for logger in loggers:
        if isinstance(logger, type) or not callable(getattr(logger, "log", None)):
            raise InputError(f"loggers: {logger!r} must be an object with .log(dict, step=)")


def makers(log: LogConfig, about: About) -> dict[str, Make]:
    """By name, what makes each tracker of a file; nothing is imported before."""
    found: dict[str, Make] = {}
    if log.tensorboard is not None and about.events is not None:
        found["TensorBoard"] = functools.partial(_tensorboard, about, about.events)
    if log.wandb is not None:
        found["W&B"] = functools.partial(_wandb, log, about)
    if log.mlflow is not None:
        found["MLflow"] = functools.partial(_mlflow, log, about)
    return found


class Tracking:
    """What one run sends to its trackers; each has a thread of its own.

    They get a row of training at each step that is logged, or where a run has more than
    `rows.MOST_ROWS` of these at every so many, and each evaluation.
    """

    def __init__(
        self,
        config: Config,
        experiment: Experiment,
        about: About,
        loggers: Sequence[Logger] = (),
    ):
        """Begin the trackers of a configuration, and those that were given."""
        log, total = config.log, experiment.total_steps
        found = makers(log, about)
        for i, logger in enumerate(loggers):
            found[f"logger {i} ({type(logger).__name__})"] = functools.partial(Given, logger)
        # In a run of several processes the first one alone.
        first = distributed.is_first()
        self._trackers = [Background(name, make) for name, make in found.items() if first]
        apart = rows_each(total, config.train.log_every)
        self._every = (apart, *(each for each in (log.curvature, log.layers) if each))
        self._experiment, self._steps, self._closed = experiment, about.start, False
        self._histograms = log.tensorboard.histograms if log.tensorboard else 0

    def __enter__(self) -> "Tracking":
        return self

    def __exit__(self, *error: object) -> None:
        if not self._closed:  # an error, which nothing is to hold up
            self._all(lambda tracker: tracker.end("failed"))

    def add(self, chunk: Chunk) -> None:
        """Send a chunk."""
        self._steps = int(chunk.steps[0])
        if not self._trackers:
            return
        pieces = rows_of(chunk, every=self._every)
        if any(len(columns) for piece in pieces for columns in piece.values()):
            self._all(lambda tracker: tracker.rows(merged(pieces)))
        each, total = self._experiment.evaluate_every, self._experiment.total_steps
        due = chunk.end % (each * self._histograms) == 0 if self._histograms else False
        if self._histograms and (due or chunk.end == total):
            values, step = values_of(chunk.state.params), self._steps
            self._all(lambda tracker: tracker.histograms(values, step))

    def add_test(self, test: Mapping[str, Any], answers: Answers | None) -> None:
        """Send the scores on the test split, and the samples that went worst."""
        step = self._steps
        if scores := scores_of(test):
            self._all(lambda tracker: tracker.scores(scores, step))
        if answers is None:
            return

        def send(tracker: Tracker) -> None:
            if tracker.shows:
                tracker.pictures(worst_pictures(answers), step)

        self._all(send)

    def close(self, stopped_by: str) -> None:
        """End the run, and wait for the trackers as long as they get on."""
        self._closed = True
        self._all(lambda tracker: tracker.end(stopped_by))
        for tracker in self._trackers:
            tracker.close()

    def _all(self, call: Callable[[Tracker], None]) -> None:
        for tracker in self._trackers:
            tracker.do(call)


def about_run(
    config: Config,
    folder: pathlib.Path | None,
    classes: Sequence[str],
    start: int = 0,
) -> About:
    """What trackers are told of a run by itself."""
    name = folder.resolve().name if folder else f"{config.data.source.name}-{config.model.name}"
    events = folder and folder / EVENTS
    return About(name, hyperparameters(config, classes), folder, events, start)


def scores_of(test: Mapping[str, Any]) -> dict[str, float]:
    """The scores of a test that are numbers, by the names that trackers have them under."""
    return {TEST + name: value for name, value in numbers_of(test).items()}


def values_of(params: Params) -> dict[str, np.ndarray]:
    """Parameters by their paths, of each `MOST_VALUES` at most, on the host.

    Those of which other processes hold a part are left out.
    """
    found = {}
    for name, leaf in flatten_with_names(params).items():
        whole = getattr(leaf, "is_fully_addressable", True)
        if whole and is_trained(leaf) and not np.iscomplexobj(leaf):
            values = np.asarray(leaf, np.float32).reshape(-1)
            found[name] = values[:: max(1, values.size // MOST_VALUES)].copy()
    return found


def _tensorboard(about: About, events: pathlib.Path) -> Tracker:
    from jaxopt_lab.run.trackers.tensorboard_files import TensorBoard

    return TensorBoard(events, about.parameters, start=about.start)


def _wandb(log: LogConfig, about: About) -> Tracker:
    from jaxopt_lab.run.trackers.wandb_run import Wandb

    assert log.wandb is not None
    return Wandb(
        log.wandb,
        about.name,
        about.parameters,
        folder=about.folder,
        state=about.state("wandb.json"),
        group=about.group,
    )


def _mlflow(log: LogConfig, about: About) -> Tracker:
    from jaxopt_lab.run.trackers.mlflow_run import Mlflow

    assert log.mlflow is not None
    state = about.state("mlflow.json")
    return Mlflow(log.mlflow, about.name, about.parameters, state=state, group=about.group)
