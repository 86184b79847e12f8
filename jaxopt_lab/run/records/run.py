"""A trained run, read from its folder without its data."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.config.source import without_data
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.readable import as_typed
from jaxopt_lab.core.tree import is_trained, take
from jaxopt_lab.core.types import Model, ModelState, Params
from jaxopt_lab.engine import Experiment, Finish, TrainState, checkpoint, statistics_of
from jaxopt_lab.run.records.chosen_step import how_it_ended, how_it_stands, why_this_step
from jaxopt_lab.run.records.identity import identity_of
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.run_ensemble import RunEnsemble, snapshots_of
from jaxopt_lab.run.records.run_folder import RunFolder
from jaxopt_lab.run.records.run_fragment import run_fragment, run_words


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Run(Predictor):
    """A trained run; `load_run` makes it, and `train` and `sweep` give it beside their results.

    Attributes:
      path: its folder, or that of its sweep; None where nothing was written.
      history: NumPy columns, as of `Result`.
      summary: what `summary.json` holds; empty where the run has not ended. Of a run of a sweep
        its test and how it ended.
      params, model_state: what it kept.
      kept: which parameters these are: "best", "average" or "last"; of a checkpoint the "last".
      step: that they belong to.
      why: how it was chosen and how the run stands, in words.
      member: which run of a sweep it is; None for a run of its own.
      state: of the checkpoint; None where the parameters are those that the run kept at its end.
      last_state: reads the state of the newest checkpoint; None where there is none.
      together: `(run, best) -> RunEnsemble`, behind `ensemble`; None where there is none.
    """

    path: pathlib.Path | None
    history: Mapping[str, np.ndarray]
    summary: dict[str, Any]
    step: int
    member: int | None = None
    state: TrainState | None
    last_state: Callable[[], TrainState] | None = None
    together: Callable[["Run", int | None], RunEnsemble] | None = None

    @property
    def model(self) -> Model:
        """The network: `model.apply({"params": params, **model_state}, x, train=False)` on
        normalized inputs."""
        return self.experiment.forward.model

    @property
    def optimizer_state(self) -> Any:
        """The optimizer's state: of the checkpoint that was read, or else of the newest, which of a
        run that has ended is that of its last step, whichever parameters it kept.

        Raises:
          InputError: where the run has no checkpoint, as one of a sweep.
        """
        if self.state is not None:
            return self.state.opt_state
        if self.last_state is None:
            raise InputError(f"{self.path or 'the run'} has no checkpoint, and so no such state")
        return self.last_state().opt_state

    def ensemble(self, best: int | None = None) -> RunEnsemble:
        """The ensemble that this run belongs to: its own snapshots, or the runs of its sweep.

        Args:
          best: of a sweep, how many of its best runs, in the order of `sweep.csv`'s ranks; None for
            all that kept parameters. Of snapshots None: all are taken.

        Returns:
          A `RunEnsemble`, with the same `apply` and `predict`.

        Raises:
          InputError: where there is none, or no such number.
        """
        if self.together is None:
            raise InputError(f"{self.path or 'the run'} is no part of an ensemble")
        return self.together(self, best)

    def __repr__(self) -> str:
        return run_words(self, "Run")

    def _repr_html_(self) -> str:
        return run_fragment(self, "Run")


def with_own_statistics(run: Run, experiment: Experiment) -> Run:
    """The run with the batch statistics of its parameters; `experiment` is it with its data.

    A checkpoint has those of training, which belong to no average of parameters.
    """
    if run.state is None:
        return run
    return dataclasses.replace(run, model_state=statistics_of(experiment, run.state, run.params))


def read_run(
    path: str | os.PathLike[str], *, model: Model | None = None, step: int | None = None
) -> Run:
    """`load_run` of a folder that is no sweep's."""
    folder = RunFolder(path)
    folder.require_there()
    signature, config = folder.own_signature(), folder.read_config()
    experiment = assemble(config, without_data(config, signature, model))
    # Shapes, but for the key, whose kind is no shape.
    key = jax.random.key(0)
    template = jax.eval_shape(experiment.init, key)._replace(key=key)
    summary = folder.own_summary()
    identity = identity_of(config, model)
    restored = functools.partial(checkpoint.restore, config_hash=identity)
    read = functools.partial(
        Run,
        path=folder.path,
        config=config,
        signature=signature,
        history=folder.history(),
        summary=summary,
        experiment=experiment,
        last_state=lambda: _checkpoint(folder, restored(folder.checkpoints, template), "")[1],
    )
    if step is None and "kept" in summary:
        kept = {"params": template.params, "model_state": template.model_state}
        found = restored(folder.kept, kept)
        if found is None:
            raise InputError(
                f"{folder.path} has ended, and what it kept is gone from {folder.kept}: "
                f"--resume {as_typed(folder.path)} writes it again"
            )
        name, at = summary["kept"], summary.get("kept_step", found[0])
        why = f"step {at:,}, the {name} that it kept; {how_it_stands(folder)}"

        def together(run, best):
            size = summary.get("members", 0)
            shapes = _stacked_shapes(kept, size)
            found = restored(folder.ensemble, shapes) if size else None
            trees = found and (found[1]["params"], found[1]["model_state"], size)
            return _snapshots(run, best, trees)

        return read(**found[1], kept=name, step=at, why=why, state=None, together=together)
    diverged = summary.get("stopped_by") == "diverged"
    why = "the run diverged" if diverged else "train it to its end first"
    at, state = _checkpoint(folder, restored(folder.checkpoints, template, step=step), why)
    return read(
        params=experiment.eval_params(state.opt_state, state.params),
        model_state=state.model_state,
        kept="last",
        step=at,
        why=why_this_step(folder, at, step),
        state=state,
        together=_snapshots_of_state,
    )


def run_of(
    config: Config,
    signature: Signature,
    experiment: Experiment,
    ended: Finish | None,
    state: TrainState,
    *,
    path: pathlib.Path | None,
    history: Mapping[str, np.ndarray],
    summary: dict[str, Any],
    last_state: Callable[[], TrainState] | None,
) -> Run:
    """The run that has just been trained, as `load_run` gives it, from memory.

    Args:
      config, signature: of the run.
      experiment: with its data, which is let go.
      ended: what it keeps; None where it did not come to its end.
      state: at which it stopped.
      path, history, summary: as of `Run`.
      last_state: gives that state again; None to hold it.
    """
    forward = experiment.forward._replace(place=None)
    experiment = experiment._replace(
        train={}, validation=None, test={}, train_sample=None, forward=forward
    )
    how = how_it_ended(summary["stopped_by"], summary["steps"])
    params = ended.params if ended else experiment.eval_params(state.opt_state, state.params)
    kept, step = (ended.kept, ended.step) if ended else ("last", summary["steps"])
    members = ended and ended.members

    def together(run, best):
        size = summary.get("members", 0)
        return _snapshots(run, best, members and (*members, size))

    return Run(
        path=path,
        config=config,
        signature=signature,
        history=history,
        summary=summary,
        params=params,
        model_state=(ended or state).model_state,
        kept=kept,
        step=step,
        why=f"step {step:,}, the {kept}{' that it kept' if ended else ''}; {how}",
        state=None if ended else state,
        experiment=experiment,
        last_state=last_state or (lambda: state),
        together=together if ended else _snapshots_of_state,
    )


def _checkpoint(
    folder: RunFolder, found: tuple[int, TrainState] | None, why: str
) -> tuple[int, TrainState]:
    if found is None:
        raise InputError(f"{folder.path} holds no checkpoint" + (f": {why}" if why else ""))
    return found


def _stacked_shapes(tree: Any, size: int) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((size, *x.shape), x.dtype), tree)


def _snapshots(
    run: Run, best: int | None, found: tuple[Params, ModelState, int] | None
) -> RunEnsemble:
    """The ensemble of a run's snapshots.

    Raises:
      InputError: where it took none, or only some are asked for.
    """
    if best is not None:
        raise InputError(f"ensemble: best={best} is of a sweep; of snapshots all are taken")
    if found is None:
        raise InputError(
            f'{run.path or "the run"} took no snapshots: add [[control]] name = "snapshots", or '
            "give a sweep"
        )
    return snapshots_of(run, *found)


def _snapshots_of_state(run: Run, best: int | None) -> RunEnsemble:
    """As `_snapshots`, of a checkpoint, in which there are no batch statistics of theirs."""
    assert run.state is not None
    read = run.experiment.members
    stacked, count = read(run.state.opt_state) if read else (None, 0)
    size = int(count)
    if size and any(map(is_trained, jax.tree.leaves(run.model_state))):
        raise InputError(
            f"{run.path or 'the run'} has not ended: the batch statistics of its snapshots are "
            "taken at its end"
        )
    states = jax.tree.map(lambda x: jnp.stack([x] * size), run.model_state) if size else {}
    return _snapshots(run, best, (take(stacked, slice(size)), states, size) if size else None)
