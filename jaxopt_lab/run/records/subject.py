"""What a diagnosis looks at: a run of its own, or a run of a sweep."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.groups import group_runs
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.source import RunData, read
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Batch, Model, ModelState, Params
from jaxopt_lab.data import as_dataset
from jaxopt_lab.engine import Experiment, TrainState
from jaxopt_lab.run.records.folder import SWEEP
from jaxopt_lab.run.records.run import read_run, with_own_statistics
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.sweep_folder import SweepFolder


@dataclasses.dataclass(frozen=True)
class Subject:
    """A run with its data.

    Attributes:
      path: its folder, or that of its sweep.
      config: what it was trained by.
      experiment: what that means, with the data.
      history: NumPy columns, as of `Result`.
      stopped_by: "" where the run has not ended.
      why: which parameters these are and how the run stands, in words.
      params: None where it kept none, as a diverged run.
      model_state: the model's other collections.
      state: of the newest checkpoint, where the parameters are those.
    """

    path: pathlib.Path
    config: Config
    experiment: Experiment
    history: Mapping[str, np.ndarray]
    stopped_by: str
    why: str = ""
    params: Params | None = None
    model_state: ModelState = dataclasses.field(default_factory=dict)
    state: TrainState | None = None

    def batches(self, most: int, size: int | None = None) -> list[Batch]:
        """At most so many training samples without augmentation, evenly spaced, the same each time.

        Args:
          most: samples in all.
          size: of a batch; None for that of the run's evaluations. The last may be smaller.
        """
        split = self.experiment.train
        samples = len(split["y"])
        rows = np.linspace(0, samples - 1, min(samples, most)).astype(np.int64)
        size = size or self.experiment.evaluation_batch_size
        return [
            {name: jnp.asarray(values[rows[i : i + size]]) for name, values in split.items()}
            for i in range(0, len(rows), size)
        ]

    def loss_fn(self, params: Params, batch: Batch) -> jax.Array:
        """The run's own loss in evaluation mode, without penalties: one value a sample, (B,)."""
        forward = self.experiment.forward
        outputs = forward.evaluate(params, self.model_state, batch["x"])
        return self.experiment.objective.each(outputs, batch)

    def require_params(self, command: str) -> Params:
        """The parameters.

        Raises:
          InputError: where the run kept none.
        """
        if self.params is None:
            raise InputError(f"{command}: {self.path}: {self.why}, so there is nothing to look at")
        return self.params


def find_subject(
    path: str | os.PathLike[str],
    *,
    member: int | None = None,
    step: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    data: Any = None,
    model: Model | None = None,
) -> Subject:
    """Read a run and its data.

    Args:
      path: the folder of a run, or of a sweep.
      member: of a sweep, which run, from 0 in the order of `sweep.csv`.
      step: of the checkpoint to read; None for what the run kept, or its newest checkpoint.
      data_dir: where data sets lie; None for the environment variable JAXOPT_LAB_DATA.
      data: that it was trained on, where that was given from Python: a `data.Dataset`, arrays
        `(x, y)`, splits by name, or a source of samples; all that `data.as_dataset` takes.
      model: the model that it was trained with, where that was given to `train`.

    Raises:
      InputError: where the folder holds no such run, or the data is not there.
    """
    if (pathlib.Path(path) / SWEEP).exists():
        return _of_sweep(SweepFolder(path), member, step, data_dir, data, model)
    folder = RunFolder(path)
    if member is not None:
        raise InputError(f"{folder.path} is a run and no sweep: leave out --member {member}")
    folder.require_there()
    config = folder.read_config()
    folder.require_given(data is not None)
    source = read(config, data_dir=data_dir, model=model, data=data)
    folder.require_data(source.signature)
    stopped_by = folder.own_summary().get("stopped_by", "")
    experiment, history = assemble(config, source), folder.history()
    subject = Subject(folder.path, config, experiment, history, stopped_by)
    try:
        run = with_own_statistics(read_run(path, model=model, step=step), experiment)
    except InputError:
        if stopped_by != "diverged" or step is not None:
            raise
        return dataclasses.replace(subject, why="the run diverged and kept no parameters")
    kept = {name: getattr(run, name) for name in ("why", "params", "model_state", "state")}
    return dataclasses.replace(subject, **kept)


def _of_sweep(
    folder: SweepFolder,
    member: int | None,
    step: int | None,
    data_dir: str | os.PathLike[str] | None,
    data: Any,
    model: Model | None,
) -> Subject:
    plan = folder.own_config()
    folder.require_given(data is not None)
    data = None if data is None else as_dataset(data)
    last = len(plan.runs) - 1
    if member is None or not 0 <= member <= last:
        got = "" if member is None else f", got {member}"
        raise InputError(
            f"{folder.path} is a sweep: name one of its runs by --member, 0 to {last}{got}"
        )
    if step is not None:
        raise InputError(f"{folder.path} is a sweep, which keeps no step {step}: leave it out")

    def of_data(config: Config) -> RunData:
        return read(config, data_dir=data_dir, model=model, data=data)

    templates = {}
    for group in group_runs([run.config for run in plan.runs], of_data):
        shapes = jax.eval_shape(group.first().init, jax.random.key(0))
        templates |= dict.fromkeys(group.members, (shapes.params, shapes.model_state))
    record = folder.ended(plan, templates).get(member)
    if record is None:
        raise InputError(f"{folder.path}: run {member} has not ended; go on with --resume")
    config = plan.runs[member].config
    return Subject(
        folder.path,
        config,
        assemble(config, of_data(config)),
        record.history,
        record.stopped_by,
        f"run {member} of a sweep, {record.stopped_by} at step {record.steps:,}",
        record.params,
        record.model_state or {},
    )
