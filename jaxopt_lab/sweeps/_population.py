"""Many runs of one structure as a program."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.rows import is_lazy, workers_of
from jaxopt_lab.core.tree import all_finite, on_host, stack_trees, take
from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.engine import (
    CAPACITY,
    Experiment,
    Finish,
    Layout,
    TrainState,
    candidates,
    make_run_steps,
    replicated,
    statistics_of,
    with_evaluation,
)
from jaxopt_lab.engine.devices import DATA, RUN
from jaxopt_lab.engine.fusions import DEFAULT, YNN, fusions_for
from jaxopt_lab.engine.layout import laid_out, require_even
from jaxopt_lab.engine.lost_run import alive_and_step
from jaxopt_lab.engine.needs import Needs, needs_of_program, require_fit, traced
from jaxopt_lab.engine.watched import make_statistics, needs_statistics
from jaxopt_lab.sweeps._runs_at_once import runs_at_once
from jaxopt_lab.sweeps.placement import over_runs, run_bytes, spread

Values = tuple[jax.Array, ...]


class Variants(Protocol):
    """Runs of one structure that differ in numbers."""

    @property
    def values(self) -> Sequence[np.ndarray]:
        """The numbers that differ: of each one value a run, (R,)."""
        ...

    def first(self) -> Experiment:
        """The experiment of the first run, in plain numbers."""
        ...

    def experiment(self, values: Values) -> Experiment:
        """The experiment of the run with these values, which may be traced."""
        ...

    def init(self, values: Values) -> TrainState:
        """The first state of the run with these values."""
        ...


class Wave(NamedTuple):
    """The state of runs that go together.

    Attributes:
      runs: their indices among the variants.
      stacked: their values and states, leading axis of runs, padded to a multiple of the devices.
    """

    runs: tuple[int, ...]
    stacked: tuple[Values, TrainState]

    @property
    def unpadded(self) -> tuple[Values, TrainState]:
        """The values and states of the runs, leading axis of runs, without the padding."""
        return take(self.stacked, slice(len(self.runs)))


class Population:
    """Variants as a `Program`, their runs dealt to the devices of a mesh.

    Its state is a `Wave`. Each function is compiled when it is first called with so many runs.
    """

    waited: float = 0.0  # for data, which is on the devices

    def __init__(
        self,
        variants: Variants,
        mesh: Mesh,
        vectorize: Literal["auto", "vmap", "map"],
        layout: Layout | None = None,
    ):
        """Place the data and prepare to train.

        Args:
          variants: the runs.
          mesh: from `engine.device_mesh`, with an axis of runs.
          vectorize: of `runs_at_once`; where a run has several devices all go at once.
          layout: how the devices of a run share it, on the same mesh; None for one device a run.

        Raises:
          InputError: where the layout does not fit the batch or the parameters.
        """
        self.variants = variants
        self.mesh = mesh
        self._layout = layout
        self.experiment: Experiment = variants.first()
        experiment = self.experiment
        self.shapes: TrainState = jax.eval_shape(experiment.init, jax.random.key(0))
        self._batch = experiment.drawn.shapes(experiment.train)
        platform = mesh.devices.flat[0].platform
        self._program = traced(experiment.step, self.shapes, self._batch)
        self.at_once: int | None = runs_at_once(
            vectorize, self._program, self.shapes, self._batch, platform
        )
        self.fusions: str = experiment.fusions or DEFAULT
        # Runs that go together have grouped convolutions, of which nothing has been measured.
        if experiment.fusions is None and layout is None and self.at_once == 1:
            self.fusions = fusions_for(self._program, platform)
        self.most: int = min(CAPACITY, experiment.evaluate_every, experiment.total_steps)
        for part in (experiment.train, experiment.validation, experiment.test):
            _require_in_memory(part or {})
        self._data = replicated(experiment.train, mesh)
        evaluated = experiment.evaluated()
        self._evaluated = evaluated and replicated(evaluated, mesh)
        state = whole = PartitionSpec()
        if layout is not None:
            require_even(experiment.batch_size, layout.sizes[DATA])
            state = layout.state_specs(self.shapes, self.shapes.params)
            self._state_places = layout.place(state)
        self._init = self._over(
            lambda values: (values, variants.init(values)), once=True, places=(whole, state)
        )
        self._step_places = ((whole, state), whole, whole, whole)
        self.compile_with(self.fusions)
        self._evaluate = self._over(self._evaluation_of_one)
        self._estimate: Callable[[TrainState], ModelState] | None = None
        self._kept = self._over(self._kept_of_one, once=True)
        self._test = self._over(self._test_of_one, once=True)

    def compile_with(self, fusions: str) -> None:
        """Take the steps to come with fusions of `engine.fusions`, as those before them were."""
        self.fusions = fusions
        self._run_steps = self._over(
            self._steps_of_one, donate=True, places=self._step_places, fusions=fusions
        )

    @property
    def how(self) -> str:
        """What a device does with its runs, in words."""
        if self._layout is not None:
            return f"{self._layout.devices} devices a run"
        words = {None: "vmap", 1: "one after another"}
        found = words.get(self.at_once, f"vmap of {self.at_once}")
        return found + ", YNNPACK" * (self.fusions == YNN)

    @property
    def bytes_each(self) -> int:
        """What one run takes of a device, roughly."""
        return run_bytes(self.shapes, self._batch)

    def start(self, runs: Sequence[int] = (0,)) -> Wave:
        """As of `Program`.

        Raises:
          InputError: where so many runs need more memory than there is.
        """
        self.require_memory(len(runs))
        values = tuple(column[list(runs)] for column in self.variants.values)
        return Wave(tuple(runs), self._init(spread(values, self.mesh)))

    @functools.cached_property
    def _needs(self) -> Needs:
        return needs_of_program(self._program, self.shapes)

    def wave_of(self, runs: Sequence[int], stacked: Any) -> Wave:
        """The wave of these runs, from their values and states on a leading axis."""
        return Wave(tuple(runs), spread(stacked, self.mesh))

    def advance(
        self, state: Wave, start: int, count: int
    ) -> tuple[Wave, dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """As of `Program`."""
        runs = len(state.runs)
        stacked, rows, steps, alive = self._run_steps(
            state.stacked, self._data, np.int32(start), np.int32(count)
        )
        rows = {name: np.asarray(values)[:runs, :count] for name, values in rows.items()}
        if (meter := self.experiment.meter) is not None:
            rows = meter.named(rows, self.shapes.params)
        steps, alive = np.asarray(steps)[:runs], np.asarray(alive)[:runs]
        return state._replace(stacked=stacked), rows, steps, alive

    def alive(self, wave: Wave) -> np.ndarray:
        """Whether the parameters of each run are finite, (R,)."""
        _, states = wave.unpadded
        alive = np.asarray(jax.vmap(all_finite)(states.params))
        if (gave_up := self.experiment.gave_up) is not None:
            alive &= np.asarray(jax.vmap(gave_up)(states.opt_state)) == 0
        return alive

    def evaluate(self, state: Wave) -> tuple[Wave, dict[str, np.ndarray]]:
        """As of `Program`."""
        if self._evaluated is None:
            return state, {}
        values, states = state.stacked
        statistics = self._watched_statistics(states)
        evaluation, measured = self._evaluate((values, states, statistics), self._evaluated)
        stacked = (values, states._replace(evaluation=evaluation))
        measured = {k: np.asarray(v)[: len(state.runs)] for k, v in measured.items()}
        return state._replace(stacked=stacked), measured

    def finish(self, state: Wave) -> list[Finish]:
        """As of `Program`; what a run keeps is on the host."""
        (values, states), count = state.stacked, len(state.runs)
        found, model_state = self._kept(state.stacked), states.model_state
        params, kept = found.params, self.experiment.kept
        if jax.tree.leaves(model_state) and kept != "last":
            model_state = self._statistics(states, params, count)
        batches = replicated(self.experiment.batches(self.experiment.test), self.mesh)
        tests = self._test((values, params, model_state), batches)
        found, model_state, tests = jax.tree.map(
            lambda x: on_host(x[:count]), (found, model_state, tests)
        )
        tests = self.experiment.in_order(tests)
        return [
            Finish(
                take(found.params, i),
                take(model_state, i),
                kept,
                int(found.step[i]),
                bool(found.judged[i]),
                {kept: {name: column[i].tolist() for name, column in tests.items()}},
            )
            for i in range(count)
        ]

    def require_memory(self, runs: int) -> None:
        """Make sure that so many runs fit the devices, as far as can be told before a program is
        compiled.

        Raises:
          InputError: where they surely do not.
        """
        device, devices = self.mesh.devices.flat[0], self.mesh.shape[RUN]
        sharing = devices if device.platform == "cpu" else 1  # the machine's memory
        each = -(-runs // devices)  # runs of a device
        data = sum(v.nbytes for v in self.experiment.train.values())
        require_fit(
            self._needs,
            self.shapes,
            device,
            data=sharing * data,
            runs=sharing * each,
            at_once=sharing * min(each, self.at_once or each),
            devices=self.mesh.size // devices,
        )

    def _over(self, function: Callable[..., Any], **how: Any) -> Callable[..., Any]:
        return over_runs(function, self.mesh, self.at_once, **how)

    def _steps_of_one(self, run, data, start, count):
        values, state = run
        experiment = self.variants.experiment(values)
        step = experiment.step
        if self._layout is not None:
            step = laid_out(step, self._layout, self._state_places)
        run_steps = make_run_steps(
            step,
            experiment.drawn,
            self.most,
            probe=experiment.probe,
        )
        state, rows = run_steps(state, data, start, count)
        finite = all_finite(state.params)
        alive, at = alive_and_step(finite, state.step, rows["loss"], start, count)
        if experiment.gave_up is not None:
            alive &= experiment.gave_up(state.opt_state) == 0
        return (values, state), rows, at, alive

    def _evaluation_of_one(self, run, batches):
        values, state, model_state = run
        experiment = self.variants.experiment(values)
        params = experiment.watched_params(state.opt_state, state.params)
        held_out, trained = experiment.evaluate_both(True)(params, model_state, batches)
        return with_evaluation(state, held_out).evaluation, held_out | trained

    def _kept_of_one(self, run):
        values, state = run
        return candidates(self.variants.experiment(values), state)[self.experiment.kept]

    def _test_of_one(self, run, test):
        values, params, model_state = run
        experiment = self.variants.experiment(values)
        evaluate = experiment.evaluator(True, experiment.forward, final=True)
        return evaluate(params, model_state, test)

    def _watched_statistics(self, states: TrainState) -> ModelState:
        """The model states that belong to what evaluations look at."""
        if not needs_statistics(self.experiment, states.model_state):
            return states.model_state
        if self._estimate is None:
            function, inputs = make_statistics(self.experiment, take(states, 0))

            def of_each(states):
                params = jax.vmap(self.experiment.watched_params)(states.opt_state, states.params)
                return jax.vmap(function, (0, None))(params, inputs)

            self._estimate = jax.jit(of_each)
        return self._estimate(states)

    def _statistics(self, states: TrainState, params: Params, count: int) -> ModelState:
        """Batch statistics of the kept parameters, run by run."""
        found = [
            statistics_of(self.experiment, take(states, i), take(params, i)) for i in range(count)
        ]
        return spread(stack_trees(found), self.mesh)


def _require_in_memory(split: dict[str, Any]) -> None:
    """Every run of a sweep reads the data from the device."""
    for name, values in split.items():
        if workers_of(values) is not None:
            raise InputError(
                f"a sweep holds its data on the device; {name}, {values.nbytes / 2**30:.1f} GiB, "
                "is streamed: train one run at a time, or leave out data.stream"
            )
        if is_lazy(values):
            raise InputError(
                f"a sweep holds its data on the device; {name}, {values.nbytes / 2**30:.1f} GiB, "
                "stays on the disk: train one run at a time, or set data.train_size"
            )
