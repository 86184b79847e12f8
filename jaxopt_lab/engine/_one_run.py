"""A run alone as a program."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jax.stages import Lowered

from jaxopt_lab.core.tree import all_finite
from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.engine.compilation import jit_once
from jaxopt_lab.engine.compiled_steps import (
    CAPACITY,
    CompiledSteps,
    compile_steps,
    fits_on_device,
)
from jaxopt_lab.engine.devices import DATA, replicated
from jaxopt_lab.engine.evaluation import goes_in_loop
from jaxopt_lab.engine.experiment import Experiment
from jaxopt_lab.engine.finishing import Finish, finish
from jaxopt_lab.engine.fusions import YNN
from jaxopt_lab.engine.layout import Layout, laid_out, require_even
from jaxopt_lab.engine.lost_run import alive_and_step
from jaxopt_lab.engine.needs import require_state
from jaxopt_lab.engine.state import TrainState, with_evaluation
from jaxopt_lab.engine.watched import make_statistics, needs_statistics


class OneRun:
    """One experiment as a `Program`: a population of one, without an axis of runs in its arrays.

    Its state is the run's `TrainState`. `start` compiles; everything after it only runs.
    """

    def __init__(self, experiment: Experiment, *, layout: Layout | None = None):
        """Prepare to train.

        Args:
          experiment: what to train.
          layout: of the devices that share it, with a mesh that is here; None for one device.

        Raises:
          InputError: where the layout does not fit the batch or the parameters.
        """
        self.experiment = experiment
        self._layout = layout
        if layout is not None:
            require_even(experiment.batch_size, layout.sizes[DATA])
            shapes = jax.eval_shape(experiment.init, jax.random.key(0))
            self._places = layout.place(layout.state_specs(shapes, shapes.params))
        self._steps: CompiledSteps | None = None
        self._statistics: Callable[[Params], ModelState] | None = None
        self._begun: tuple[TrainState, tuple[TrainState, dict[str, jax.Array]]] | None = None
        self._evaluates_in_loop = False
        self.most: int = CAPACITY

    def start(self, runs: Sequence[int] = (0,)) -> TrainState:
        """The first state; compiles the steps for states like it.

        Raises:
          InputError: where the run needs more memory than there is.
        """
        del runs
        lowered, shapes, seed = self._first_state()
        # Side by side, as the compiler holds no lock of Python's.
        with ThreadPoolExecutor(1) as beside:
            compiled = beside.submit(lowered.compile)
            self.compile(shapes)
        return compiled.result()(seed)

    def compile(self, state: TrainState, fusions: str | None = None) -> None:
        """Compile the steps for states like `state`.

        Args:
          state: that the run begins with, or goes on from; its shapes, and where they are to be.
          fusions: of `engine.fusions`, to go on as the run was; None for those of the experiment.

        Raises:
          InputError: where a step needs more memory than there is.
        """
        experiment, layout = self.experiment, self._layout
        step, probe, data, mesh = experiment.step, experiment.probe, experiment.train, None
        if layout is not None:
            mesh = layout.mesh
            step = laid_out(step, layout, self._places)
        # Of several hosts each feeds its own devices.
        if jax.process_count() == 1 and fits_on_device(data):
            data = jax.device_put(data) if mesh is None else replicated(data, mesh)
        self._steps = compile_steps(
            step,
            state,
            data,
            experiment.drawn,
            experiment.steps_per_dispatch,
            probe=probe,
            meter=experiment.meter,
            mesh=mesh,
            total=experiment.total_steps,
            fusions=fusions or experiment.fusions,
        )
        self.most = self._steps.most

    def first_state(self) -> TrainState:
        """The run's state at step 0, where it is to be.

        Raises:
          InputError: where it needs more memory than there is.
        """
        lowered, _, seed = self._first_state()
        return lowered.compile()(seed)

    def _first_state(self) -> tuple[Lowered, TrainState, np.uint32]:
        """A program, what it makes of a seed, and the seed."""
        experiment, layout = self.experiment, self._layout
        seed, places = np.uint32(experiment.seed), None if layout is None else self._places
        # The key is made within it, where it takes no program of its own.
        init = lambda seed: experiment.init(jax.random.key(seed))  # noqa: E731
        traced = jit_once(init, out_shardings=places).trace(seed)
        devices = 1 if layout is None else layout.devices
        require_state(traced.out_info, jax.local_devices()[0], devices=devices)
        shapes = traced.out_info
        if places is not None:
            shapes = jax.tree.map(
                lambda s, place: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=place),
                shapes,
                places,
            )
        return traced.lower(), shapes, seed

    @property
    def in_loop(self) -> bool:
        """Whether the steps of a chunk are one dispatch."""
        assert self._steps is not None, "start comes first"
        return self._steps.in_loop

    @property
    def fusions(self) -> str:
        """What the steps are compiled with, of `engine.fusions`."""
        assert self._steps is not None, "start comes first"
        return self._steps.fusions

    @property
    def waited(self) -> float:
        """As of `Program`."""
        host = self._steps and self._steps.host
        return host.waited if host else 0.0

    def close(self) -> None:
        """Stop reading data ahead; a step that is taken later begins again."""
        if self._steps and self._steps.host:
            self._steps.host.close()

    @property
    def how(self) -> str:
        """What a chunk of steps is, in words."""
        words = "compiled loop" if self.in_loop else "one step a dispatch"
        words += ", YNNPACK" * (self.fusions == YNN)
        if self._layout is None:
            return words
        devices = self._layout.devices
        return f"{words} on {devices} device{'s' if devices > 1 else ''}"

    def advance(
        self, state: TrainState, start: int, count: int
    ) -> tuple[TrainState, dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """As of `Program`."""
        assert self._steps is not None, "start comes first"
        self._begun = None
        state, rows = self._steps.advance(state, start, count, self._behind(start + count))
        step, alive = int(state.step), True
        if step > start and not np.isfinite(rows["loss"][step - start - 1]):
            finite = bool(all_finite(state.params))
            alive, at = alive_and_step(finite, step, rows["loss"], start, count)
            alive, step = bool(alive), int(at)
        if self.experiment.gave_up is not None:
            alive &= not self.experiment.gave_up(state.opt_state)
        rows = {name: values[None] for name, values in rows.items()}
        return state, rows, np.array([step]), np.array([alive])

    def evaluate(self, state: TrainState) -> tuple[TrainState, dict[str, np.ndarray]]:
        """As of `Program`."""
        begun, self._begun = self._begun, None
        if begun is None or begun[0] is not state:
            begun = state, self._begin_evaluation(state)
        after, values = begun[1]
        return after, {name: np.asarray(value)[None] for name, value in values.items()}

    def _behind(self, step: int) -> Callable[[TrainState], None] | None:
        """What begins an evaluation that is due after a step, so that the device need not wait.

        Not one that is a loop of the host's, nor the first, which compiles what evaluates: their
        time would be taken for that of the steps.
        """
        experiment = self.experiment
        due = step % experiment.evaluate_every == 0 or step == experiment.total_steps
        if not (due and self._evaluates_in_loop):
            return None

        def begin(state):
            self._begun = state, self._begin_evaluation(state)

        return begin

    def _begin_evaluation(self, state: TrainState) -> tuple[TrainState, dict[str, jax.Array]]:
        """What `evaluate` gives, which may still be under way."""
        if self._evaluation is None:
            return state, {}
        experiment = self.experiment
        params = experiment.watched_params(state.opt_state, state.params)
        model_state = state.model_state
        if needs_statistics(experiment, model_state):
            if self._statistics is None:
                function, inputs = make_statistics(experiment, state)
                self._statistics = functools.partial(jax.jit(function), inputs=inputs)
            model_state = self._statistics(params)
        evaluate, batches, self._evaluates_in_loop = self._evaluation
        held_out, trained = evaluate(params, model_state, batches)
        return with_evaluation(state, held_out), held_out | trained

    def finish(self, state: TrainState) -> list[Finish]:
        """As of `Program`."""
        return [finish(self.experiment, state)]

    @property
    def _may_loop(self) -> bool:
        assert self._steps is not None, "start comes first"
        return self._steps.may_loop

    @functools.cached_property
    def _evaluation(self):
        batches = self.experiment.evaluated()
        if batches is None:
            return None
        in_loop = all(goes_in_loop(self._may_loop, each) for each in batches)
        if in_loop:
            batches = jax.device_put(batches)
        return self.experiment.evaluate_both(in_loop), batches, in_loop
