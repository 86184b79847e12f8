"""What a run ends with: the parameters to keep, and how each candidate does on the test split."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.build import Experiment
from jaxopt_lab.config.chain import keeps_best, names_of
from jaxopt_lab.config.schema import Config
from jaxopt_lab.control import averaged_params, best_params, snapshot_params, snapshots_taken
from jaxopt_lab.core.types import Params
from jaxopt_lab.engine import Ensemble, read_controls, reestimate_statistics
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.state import TrainState

# Batches that statistics are estimated anew from: the mean of a hundred is good to a few percent
# of one batch's deviation.
STATISTICS_BATCHES = 100
AVERAGES = {"weight_ema", "stochastic_weight_averaging"}


class Finish(NamedTuple):
    """How a run ended.

    Attributes:
      params, model_state: those to keep: the best where early stopping kept them, else the average
        where there is one, else the last.
      kept: which of them, "best", "average" or "last".
      tests: `{"last": {"loss": ..., "accuracy": ...}, "best": ..., "average": ...,
        "ensemble": ...}`, those that there are.
    """

    params: Params
    model_state: dict[str, Any]
    kept: str
    tests: dict[str, dict[str, float]]


def finish(experiment: Experiment, state: TrainState, in_loop: bool) -> Finish:
    """Read the controls of a run that has ended, and test what they hold.

    The best, averaged and snapshot parameters carry no batch statistics: these are re-estimated.
    """
    place = jax.device_put if in_loop else lambda batches: batches
    test = place(experiment.batches(experiment.test))
    found = jax.jit(lambda s: candidates(experiment, s))(state)
    # As the state holds them, so that `anew` knows them.
    found["last"] = experiment.evaluated(state.params, state.opt_state)
    variables = {name: (params, anew(experiment, state, params)) for name, params in found.items()}
    measure = experiment.measure(in_loop, experiment.model)
    tests = {name: _numbers(measure(*v, test)) for name, v in variables.items()}
    if "snapshots" in names_of(experiment.config.control):
        members = _members(experiment, state)
        if members is not None:
            ensemble = experiment.measure(in_loop, Ensemble(experiment.model))
            tests["ensemble"] = _numbers(ensemble(*members, test))
    kept = which_kept(experiment.config)
    return Finish(*variables[kept], kept, tests)


def which_kept(config: Config) -> str:
    """Which candidate a run keeps."""
    if keeps_best(config):
        return "best"
    return "average" if AVERAGES & set(names_of(config.control)) else "last"


def candidates(experiment: Experiment, state: TrainState) -> dict[str, Params]:
    """The parameters that a run could keep, by name; pure."""
    found = {"last": experiment.evaluated(state.params, state.opt_state)}
    if AVERAGES & set(names_of(experiment.config.control)):
        found["average"] = averaged_params(state.opt_state)
    if keeps_best(experiment.config):
        found["best"] = best_params(
            read_controls(state, experiment.optimizer, **_any(experiment, state))
        )
    return found


def _any(experiment: Experiment, state: TrainState) -> dict[str, Any]:
    """The curvature of some batch, for an `update` whose result nobody reads."""
    if experiment.curvature is None:
        return {}
    shapes = {k: (experiment.batch_size, *v.shape[1:]) for k, v in experiment.train.items()}
    batch = {k: jnp.zeros(shapes[k], v.dtype) for k, v in experiment.train.items()}
    return {"curvature": experiment.curvature(state, batch)}


def _members(experiment: Experiment, state: TrainState) -> tuple[Params, dict[str, Any]] | None:
    """The snapshots taken, with statistics of their own, stacked on a leading axis."""
    stacked = snapshot_params(state.opt_state)
    there = len(jax.tree.leaves(stacked)[0])
    taken = min(int(snapshots_taken(state.opt_state)), there)
    if taken == 0:
        return None
    members = [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(taken)]
    states = [anew(experiment, state, params) for params in members]
    return jax.tree.map(lambda *x: jnp.stack(x), *zip(members, states, strict=True))


def anew(experiment: Experiment, state: TrainState, params: Params) -> dict[str, Any]:
    """The model state with statistics of these parameters, from the head of the training split."""
    if params is state.params:
        return state.model_state
    images, size = experiment.train["x"], experiment.batch_size
    count = min(STATISTICS_BATCHES, len(images) // size)
    inputs = (
        experiment.normalize(jnp.asarray(images[i * size : (i + 1) * size])) for i in range(count)
    )
    key = stream_key(state.key, Stream.MODEL, state.step)
    return reestimate_statistics(experiment.model, params, state.model_state, inputs, key)


def _numbers(values: dict[str, jax.Array]) -> dict[str, float]:
    return {name: float(str(np.float32(value))) for name, value in values.items()}
