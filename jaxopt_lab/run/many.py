"""The compiled programs of a group of runs on a mesh of devices."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.groups import Group, Values
from jaxopt_lab.core.tree import all_finite
from jaxopt_lab.core.types import Params
from jaxopt_lab.engine import batch_shapes, make_run_steps, with_evaluation
from jaxopt_lab.engine.program import CAPACITY
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.run.finish import anew, candidates, which_kept
from jaxopt_lab.sweeps import (
    over_runs,
    replicated,
    run_bytes,
    rung_ends,
    runs_at_once,
    spread,
)

Own = tuple[Values, TrainState]


class Many:
    """What trains, evaluates and finishes the runs of a group.

    Each function takes and gives `(values, state)` with a leading axis of runs, a multiple of the
    mesh's; it is compiled when it is first called with so many.
    """

    def __init__(self, group: Group, mesh: Mesh, vectorize: Literal["auto", "vmap", "map"]):
        self.group, self.mesh = group, mesh
        self.experiment = experiment = assemble(group.config, group.source)
        self.state = jax.eval_shape(experiment.init, jax.random.key(0))
        self.batch = batch_shapes(experiment.train, experiment.batch_size)
        self.at_once = runs_at_once(vectorize, experiment.step, self.state, self.batch)
        self.most = min(CAPACITY, experiment.evaluate_every, experiment.total_steps)
        self._data = replicated(experiment.train, mesh)
        held = experiment.validation
        self._validation = held and replicated(experiment.batches(held), mesh)
        self._test = replicated(experiment.batches(experiment.test), mesh)
        self._init = self._over(lambda values: (values, group.init(values)), once=True)
        self._advance = self._over(self._run_steps, donate=True)
        self._evaluate = self._over(self._evaluated)
        self._candidate = self._over(self._kept, once=True)
        self._measure = self._over(self._measured, once=True)

    def rungs(self, runs: int, factor: int | None) -> tuple[int, ...]:
        """The steps at which the rungs of a sweep of so many runs end for these."""
        return rung_ends(runs, self.experiment.total_steps, factor)

    @property
    def how(self) -> str:
        """What a device does with its runs, in words."""
        words = {None: "vmap", 1: "one after another"}
        return words.get(self.at_once, f"vmap of {self.at_once}")

    @property
    def bytes_each(self) -> int:
        """What one run takes of a device, roughly."""
        return run_bytes(self.state, self.batch)

    def start(self, values: Sequence[np.ndarray]) -> Own:
        """The first states of runs with these values, (R,) each."""
        return self._init(spread(tuple(values), self.mesh))

    def advance(self, owns: Own, start: int, count: int) -> Any:
        """`count` steps of every run: `(owns, rows, steps, alive)`. The `owns` are donated."""
        return self._advance(owns, self._data, np.int32(start), np.int32(count))

    @property
    def evaluate(self) -> Callable[[Own], tuple[Own, dict[str, jax.Array]]] | None:
        """`owns -> (owns, {name: (R,)})` on the validation split; None where there is none."""
        if self._validation is None:
            return None

        def evaluate(owns):
            values, state = owns
            evaluation, measured = self._evaluate(owns, self._validation)
            return (values, state._replace(evaluation=evaluation)), measured

        return evaluate

    def finish(self, owns: Own, count: int) -> tuple[Params, dict[str, Any], dict[str, np.ndarray]]:
        """What the first `count` runs keep, leading axis of runs, and how it does on the test."""
        values, state = owns
        params, model_state = self._candidate(owns), state.model_state
        if jax.tree.leaves(model_state) and which_kept(self.group.config) != "last":
            model_state = self._statistics(state, params, count)
        tests = self._measure((values, params, model_state), self._test)
        first = lambda tree: jax.tree.map(lambda x: np.asarray(x[:count]), tree)  # noqa: E731
        return first(params), first(model_state), first(tests)

    def _over(self, function: Callable[..., Any], **how: bool) -> Callable[..., Any]:
        return over_runs(function, self.mesh, self.at_once, **how)

    def _run_steps(self, own, data, start, count):
        values, state = own
        experiment = self.group.experiment(values)
        bootstrap = experiment.config.data.bootstrap
        run_steps = make_run_steps(
            experiment.step, experiment.batch_size, self.most, bootstrap=bootstrap
        )
        state, rows = run_steps(state, data, start, count)
        alive = jnp.isfinite(rows["loss"][count - 1]) | all_finite(state.params)
        return (values, state), rows, state.step, alive

    def _evaluated(self, own, validation):
        values, state = own
        experiment = self.group.experiment(values)
        params = experiment.evaluated(state.params, state.opt_state)
        measure = experiment.measure(True, experiment.model)
        measured = measure(params, state.model_state, validation)
        measured = {f"val_{name}": value for name, value in measured.items()}
        return with_evaluation(state, measured).evaluation, measured

    def _kept(self, own):
        values, state = own
        return candidates(self.group.experiment(values), state)[which_kept(self.group.config)]

    def _measured(self, own, test):
        values, params, model_state = own
        experiment = self.group.experiment(values)
        return experiment.measure(True, experiment.model)(params, model_state, test)

    def _statistics(self, state: TrainState, params: Params, count: int) -> dict[str, Any]:
        """Batch statistics of the kept parameters, run by run."""
        at = lambda tree, i: jax.tree.map(lambda x: x[i], tree)  # noqa: E731
        own = [anew(self.experiment, at(state, i), at(params, i)) for i in range(count)]
        return spread(jax.tree.map(lambda *x: jnp.stack(x), *own), self.mesh)
