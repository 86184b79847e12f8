"""A run of Weights & Biases."""

import json
import os
import pathlib
import uuid
from collections.abc import Sequence
from typing import Any

from jaxopt_lab.config.sections import WandbConfig
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.run.trackers.tracker import Parameters, Row, Tracker, after

UNHAPPY = ("diverged", "failed")


class Wandb(Tracker):
    """A run of W&B: scalars and hyperparameters, offline unless the configuration says otherwise.

    How it rewinds: a file of the run's folder has its id and the last step that it was given. A
    run that goes on from a checkpoint takes the same steps with the same numbers, so that those up
    to there are left out; W&B itself would drop them, or have them twice when it syncs.
    """

    def __init__(
        self,
        config: WandbConfig,
        name: str,
        parameters: Parameters,
        *,
        folder: pathlib.Path | None = None,
        state: pathlib.Path | None = None,
        group: str | None = None,
    ):
        """Begin the run, or go on with it.

        Args:
          config: `[log] wandb`.
          name: of the run.
          parameters: its hyperparameters.
          folder: where W&B makes its own folder `wandb/`; None for where it likes.
          state: the file with the run's id, which need not be there; None to keep none.
          group: of runs that it is one of.
        """
        import wandb

        there = state is not None and state.exists()
        known = json.loads(state.read_bytes()) if state is not None and there else {}
        self._state, self._id = state, known.get("id") or uuid.uuid4().hex[:8]
        self._logged, self._scored = known.get("logged", 0), known.get("scored")
        self._save()
        online = config.mode == "online"
        given: dict[str, Any] = {"resume": "allow"} if online else {}
        self._run = wandb.init(
            project=config.project,
            entity=config.entity,
            mode=config.mode,
            id=self._id,
            name=name,
            group=group,
            config=dict(parameters),
            dir=folder and os.fspath(folder),
            reinit="create_new",  # beside one of the user's own
            settings=wandb.Settings(silent=True, console="off"),
            **given,
        )

    def rows(self, rows: Sequence[Row]) -> None:
        for step, values in (new := after(rows, self._logged)):
            self._run.log(values, step=step)
        if new:
            self._logged = new[-1][0]
            self._save()

    def scores(self, values: dict[str, float], step: int) -> None:
        if self._scored != step:
            self._run.log(values, step=step)
            self._scored = step
            self._save()

    def end(self, stopped_by: str) -> None:
        self._run.summary["stopped_by"] = stopped_by
        self._run.finish(exit_code=int(stopped_by in UNHAPPY))

    def _save(self) -> None:
        if self._state is not None:
            known = {"id": self._id, "logged": self._logged, "scored": self._scored}
            write_atomically(self._state, (json.dumps(known) + "\n").encode())
