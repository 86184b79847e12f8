"""A run in a store of MLflow."""

import json
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from jaxopt_lab.config.sections import MlflowConfig
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.run.trackers.hyperparameters import shortened
from jaxopt_lab.run.trackers.tracker import Parameters, Row, Tracker, after, plain_name

STEP_TAG = "jaxopt_lab.step"
MOST_METRICS, MOST_PARAMETERS = 1000, 100
"""Of one call."""

STATUS = {"interrupted": "KILLED", "diverged": "FAILED", "failed": "FAILED"}


class Mlflow(Tracker):
    """A run of MLflow by its client, so that the active run of the user's own code stays.

    How it rewinds: MLflow would have a step that is logged again twice. A tag of the run holds the
    last step that it was given, and a run that goes on from a checkpoint, which takes the same
    steps with the same numbers, leaves those up to there out.
    """

    def __init__(
        self,
        config: MlflowConfig,
        name: str,
        parameters: Parameters,
        *,
        state: pathlib.Path | None = None,
        group: str | None = None,
    ):
        """Begin the run, or go on with it.

        Args:
          config: `[log] mlflow`.
          name: of the run.
          parameters: its hyperparameters.
          state: the file with the run's id, which need not be there; None to keep none.
          group: of runs that it is one of, as a tag.
        """
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        self._metric, self._tag = Metric, RunTag
        self._client, self._logged = MlflowClient(tracking_uri=config.uri), 0
        if state is not None and state.exists():
            self._id = json.loads(state.read_bytes())["id"]
            tags = self._client.get_run(self._id).data.tags
            self._logged = int(tags.get(STEP_TAG, 0))
            self._client.set_terminated(self._id, "RUNNING")
            return
        found = self._client.get_experiment_by_name(config.experiment)
        place = found.experiment_id if found else self._client.create_experiment(config.experiment)
        tags = {"group": group} if group else {}
        self._id = self._client.create_run(place, run_name=name, tags=tags).info.run_id
        if state is not None:
            write_atomically(state, (json.dumps({"id": self._id}) + "\n").encode())
        given = [Param(plain_name(k), shortened(str(v))) for k, v in parameters.items()]
        for part in _parts(given, MOST_PARAMETERS):
            self._client.log_batch(self._id, params=part)

    def rows(self, rows: Sequence[Row]) -> None:
        if not (new := after(rows, self._logged)):
            return
        now = int(1000 * time.time())
        metrics = [
            self._metric(plain_name(name), value, now, step)
            for step, values in new
            for name, value in values.items()
        ]
        self._logged = new[-1][0]
        *before, last = _parts(metrics, MOST_METRICS)
        for part in before:
            self._client.log_batch(self._id, metrics=part)
        tag = self._tag(STEP_TAG, str(self._logged))
        self._client.log_batch(self._id, metrics=last, tags=[tag])

    def scores(self, values: dict[str, float], step: int) -> None:
        known = self._client.get_metric_history(self._id, plain_name(next(iter(values))))
        if all(metric.step != step for metric in known):
            now = int(1000 * time.time())
            found = [self._metric(plain_name(k), v, now, step) for k, v in values.items()]
            self._client.log_batch(self._id, metrics=found)

    def end(self, stopped_by: str) -> None:
        self._client.set_tag(self._id, "stopped_by", stopped_by)
        self._client.set_terminated(self._id, STATUS.get(stopped_by, "FINISHED"))


def _parts(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for at in range(0, len(values), size):
        yield list(values[at : at + size])
