"""A trained run, read from its folder without its data."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.config.source import without_data
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Model, ModelState, Params
from jaxopt_lab.engine import Experiment, TrainState, checkpoint, statistics_of
from jaxopt_lab.run.records.chosen_step import how_it_stands, why_this_step
from jaxopt_lab.run.records.folder import RunFolder
from jaxopt_lab.run.records.identity import identity_of
from jaxopt_lab.run.records.metrics_log import LoggedHistory


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained run; `load_run` makes it.

    Attributes:
      path: its folder.
      config: what it was trained by.
      signature: shapes, classes and normalization of its data.
      history: NumPy columns, as of `Result`.
      summary: what `summary.json` holds; empty where the run has not ended.
      params, model_state: what it kept.
      kept: which parameters these are: "best", "average" or "last"; of a checkpoint the "last".
      step: that they belong to.
      why: how it was chosen and how the run stands, in words.
      state: of the checkpoint; None where the parameters are those that the run kept at its end.
      experiment: the objects that its configuration means, such as its loss; no data.
    """

    path: pathlib.Path
    config: Config = dataclasses.field(repr=False)
    signature: Signature = dataclasses.field(repr=False)
    history: Mapping[str, np.ndarray] = dataclasses.field(repr=False)
    summary: dict[str, Any] = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    model_state: ModelState = dataclasses.field(repr=False)
    kept: str
    step: int
    why: str = dataclasses.field(repr=False)
    state: TrainState | None = dataclasses.field(repr=False)
    experiment: Experiment = dataclasses.field(repr=False)

    @property
    def model(self) -> Model:
        """The network: `model.apply({"params": params, **model_state}, x, train=False)` on
        normalized inputs."""
        return self.experiment.forward.model

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty where the targets are numbers."""
        return self.signature.classes

    def apply(self, x: jax.typing.ArrayLike) -> jax.Array:
        """The outputs for raw inputs, as the data set has them: the run's own normalization is
        applied.

        Args:
          x: (B, ...), samples of the shape that the run was trained on; where that was on bytes,
            whole numbers in [0, 255] or floats in [0, 1].

        Returns:
          (B, ...), the model's outputs in evaluation mode, such as logits.

        Raises:
          InputError: where a sample has another shape, or is out of its range.
        """
        x = self.signature.inputs(x)
        return self._apply(self.params, self.model_state, x)

    @functools.cached_property
    def _apply(self):
        return jax.jit(self.experiment.forward.evaluate)


def with_own_statistics(run: Run, experiment: Experiment) -> Run:
    """The run with the batch statistics of its parameters; `experiment` is it with its data.

    A checkpoint has those of training, which belong to no average of parameters.
    """
    if run.state is None:
        return run
    return dataclasses.replace(run, model_state=statistics_of(experiment, run.state, run.params))


def load_run(
    path: str | os.PathLike[str], *, model: Model | None = None, step: int | None = None
) -> Run:
    """Read a trained run; the data set that it was trained on need not be there.

    Args:
      path: the run's folder.
      model: the model that it was trained with, where that was given to `train`.
      step: of the checkpoint to read; None for what the run kept at its end, or where it has none
        for its newest checkpoint.

    Returns:
      A `Run`.

    Raises:
      InputError: where the folder holds no run with a checkpoint, none of that step, or one of
        another version.
    """
    folder = RunFolder(path)
    folder.require_there()
    signature, config = folder.own_signature(), folder.read_config()
    experiment = assemble(config, without_data(config, signature, model))
    # Shapes, but for the key, whose kind is no shape.
    key = jax.random.key(0)
    template = jax.eval_shape(experiment.init, key)._replace(key=key)
    summary = folder.own_summary()
    read = functools.partial(
        Run,
        path=folder.path,
        config=config,
        signature=signature,
        history=LoggedHistory(folder.metrics),
        summary=summary,
        experiment=experiment,
    )
    identity = identity_of(config, model)
    if step is None and "kept" in summary:
        kept = {"params": template.params, "model_state": template.model_state}
        found = checkpoint.restore(folder.kept, kept, config_hash=identity)
        if found is None:
            raise InputError(
                f"{folder.path} has ended, and what it kept is gone from {folder.kept}: "
                f"--resume {folder.path} writes it again"
            )
        name, at = summary["kept"], summary.get("kept_step", found[0])
        why = f"step {at:,}, the {name} that it kept; {how_it_stands(folder)}"
        return read(**found[1], kept=name, step=at, why=why, state=None)
    found = checkpoint.restore(folder.checkpoints, template, config_hash=identity, step=step)
    if found is None:
        diverged = summary.get("stopped_by") == "diverged"
        why = "the run diverged" if diverged else "train it to its end first"
        raise InputError(f"{folder.path} holds no checkpoint: {why}")
    at, state = found
    return read(
        params=experiment.eval_params(state.opt_state, state.params),
        model_state=state.model_state,
        kept="last",
        step=at,
        why=why_this_step(folder, at, step),
        state=state,
    )
