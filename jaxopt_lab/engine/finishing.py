"""What a run ends with: the parameters to keep, and how each candidate does on the test split."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.tree import all_finite, stack_trees, take
from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.engine._read_controls import read_controls
from jaxopt_lab.engine.ensemble import Ensemble
from jaxopt_lab.engine.experiment import Experiment
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.statistics import reestimate_statistics

# Batches that statistics are estimated from: the mean of a hundred is good to a few percent of one
# batch's deviation.
STATISTICS_BATCHES = 100


class Candidate(NamedTuple):
    """Parameters that a run could keep.

    Attributes:
      params: the parameters.
      step: that they belong to; negative where a control has kept none yet.
      judged: whether an evaluation chose them and they are finite.
    """

    params: Params
    step: jax.Array
    judged: jax.Array


class Finish(NamedTuple):
    """How a run ended.

    Attributes:
      params, model_state: those to keep: the best where early stopping kept them, else the average
        where there is one, else the last.
      kept: which of them, such as "best", "average" or "last".
      step: that they belong to.
      judged: whether an evaluation chose them and they are finite: of a run that has diverged
        nothing else is worth keeping.
      tests: `{"last": {"loss": ..., "accuracy": ...}, "best": ..., "ensemble": ...}`, those that
        there are; metrics that are arrays as lists.
      members: parameters and model states of the ensemble, each leaf with a leading axis of them;
        None where there is none.
    """

    params: Params
    model_state: ModelState
    kept: str
    step: int
    judged: bool
    tests: dict[str, dict[str, Any]]
    members: tuple[Params, ModelState] | None = None


def finish(experiment: Experiment, state: TrainState) -> Finish:
    """Read the controls of a run that has ended, and test what they keep.

    The best, averaged and snapshot parameters carry no batch statistics: these are re-estimated.
    What is not finite is not tested, unless it is what the run keeps. The outputs that are tested
    are those of `Experiment.predict`, to the bit.
    """
    test = experiment.batches(experiment.test)
    found = jax.jit(lambda s: candidates(experiment, s))(state)
    # The very arrays of the state, because these need no new statistics.
    own = experiment.eval_params(state.opt_state, state.params)
    found["last"] = found["last"]._replace(params=own)
    variables = {
        name: (params, statistics_of(experiment, state, params))
        for name, (params, _, _) in found.items()
    }
    evaluate = experiment.evaluator(False, experiment.forward, final=True)
    tests = {name: _numbers(evaluate(*v, test)) for name, v in variables.items()}
    members = _members(experiment, state)
    if members is not None:
        model = Ensemble(experiment.forward.model, experiment.pool)
        ensemble = experiment.forward._replace(model=model)
        evaluate = experiment.evaluator(False, ensemble, final=True)
        tests["ensemble"] = _numbers(evaluate(*members, test))
    kept = experiment.kept
    tests = {
        k: experiment.in_order(v) for k, v in tests.items() if k == kept or math.isfinite(v["loss"])
    }
    _, step, judged = found[kept]
    return Finish(*variables[kept], kept, int(step), bool(judged), tests, members)


def candidates(experiment: Experiment, state: TrainState) -> dict[str, Candidate]:
    """The parameters that a run could keep, by name; pure."""
    params = experiment.eval_params(state.opt_state, state.params)
    found = {"last": Candidate(params, state.step, jnp.array(False))}
    for keeps in experiment.keeps:
        opt_state = state.opt_state
        if keeps.judged:
            extras = _any_curvature(experiment, state)
            opt_state = read_controls(state, experiment.optimizer, **extras)
        params = keeps.params(opt_state)
        step = keeps.step(opt_state) if keeps.step else state.step
        judged = jnp.array(keeps.judged) & (step >= 0) & all_finite(params)
        found[keeps.name] = Candidate(params, step, judged)
    return found


def statistics_batches(experiment: Experiment) -> int:
    """How many batches of training statistics are estimated from."""
    return min(STATISTICS_BATCHES, len(experiment.train["y"]) // experiment.batch_size)


def statistics_of(experiment: Experiment, state: TrainState, params: Params) -> ModelState:
    """The model state that belongs to `params`: re-estimated where it is not the state's own."""
    if params is state.params:
        return state.model_state
    if not all_finite(state.model_state):  # it has diverged
        state = state._replace(model_state=jax.jit(experiment.init)(state.key).model_state)
    x, size = experiment.train["x"], experiment.batch_size
    count = statistics_batches(experiment)
    inputs = (jnp.asarray(x[i * size : (i + 1) * size]) for i in range(count))
    key = stream_key(state.key, Stream.MODEL, state.step)
    found = reestimate_statistics(experiment.forward, params, state.model_state, inputs, key)
    return experiment.frozen.held(state.model_state, found)


def _any_curvature(experiment: Experiment, state: TrainState) -> dict[str, Any]:
    """The curvature of some batch, for an `update` whose result nobody reads."""
    if experiment.curvature is None:
        return {}
    shapes = experiment.drawn.shapes(experiment.train)
    batch = {k: jnp.zeros(v.shape, v.dtype) for k, v in shapes.items()}
    return {"curvature": experiment.curvature(state, batch)}


def _members(experiment: Experiment, state: TrainState) -> tuple[Params, ModelState] | None:
    """The members of the ensemble, with statistics of their own, on a leading axis."""
    if experiment.members is None:
        return None
    stacked, count = experiment.members(state.opt_state)
    if int(count) == 0:
        return None
    members = [take(stacked, i) for i in range(int(count))]
    return stack_trees([(p, statistics_of(experiment, state, p)) for p in members])


def _numbers(values: dict[str, jax.Array]) -> dict[str, Any]:
    """Numbers as the shortest decimals that read back as them, in their own dtype."""

    def shortest(value: np.ndarray) -> Any:
        return [shortest(v) for v in value] if value.ndim else float(str(value[()]))

    return {name: shortest(np.asarray(value)) for name, value in values.items()}
