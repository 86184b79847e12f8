"""Where a number that is not finite first appeared: looked for once a run has stopped at one.

A run is a function of its start, so it is not watched as it trains. From a state that was good its
steps are taken again, the first after which the state is not finite is found by halving, and that
step is looked into, operation by operation.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.tree import all_finite, flatten_with_names, is_trained, on_host, stays_finite
from jaxopt_lab.core.types import Batch, Params
from jaxopt_lab.engine._one_run import OneRun
from jaxopt_lab.engine.compilation import jit_once
from jaxopt_lab.engine.devices import whole_beside
from jaxopt_lab.engine.experiment import Experiment
from jaxopt_lab.engine.gradient import passes
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.objective import MASK
from jaxopt_lab.engine.state import TrainState

FirstUse = Callable[..., list[str]]


class NotFinite(NamedTuple):
    """The first number of a run that is not finite.

    Attributes:
      step: the step that computed it, counted from 1 as in a log.
      what: in words: "the output of Dense_1", "the gradient of Dense_0/kernel".
      layer: the path of the module or of the parameters, "Dense_1" for one; None where it is of
        no one layer.
    """

    step: int
    what: str
    layer: str | None


def make_is_good(first: TrainState) -> Callable[[TrainState], bool]:
    """`state -> whether the model's parameters and collections are worth keeping`.

    They are where they are finite, or where the `first` state holds infinity on purpose, as a mask
    does, where there is no NaN. Of an optimizer's state more is infinite than what is lost, such
    as a best value before there is one; what is lost in it shows in the parameters.
    """

    def model_of(state):
        return state.params, state.model_state

    test = _of_each(lambda xp, x: xp.isfinite(x).all())
    if not test(model_of(first)):
        test = _of_each(lambda xp, x: ~xp.isnan(x).any())
    return lambda state: test(model_of(state))


def _of_each(holds: Callable[[Any, Any], Any]) -> Callable[[Any], bool]:
    """`tree -> whether it holds of each leaf that can be trained`, of `holds(xp, leaf)`.

    With xp = `jnp` in one program; of arrays in a CPU's own memory with `np`, because a program
    takes longer to compile than to run.
    """

    def leaves(tree):
        return filter(is_trained, jax.tree.leaves(tree))

    if jax.default_backend() == "cpu" and jax.process_count() == 1:
        return lambda tree: all(bool(holds(np, np.asarray(x))) for x in leaves(tree))
    found = jit_once(lambda tree: jnp.array([holds(jnp, x) for x in leaves(tree)], bool).all())
    return lambda tree: bool(found(tree))


def first_lost_step(
    program: OneRun, state: TrainState, start: int, end: int, near: int
) -> TrainState | None:
    """The state before the first step that makes it not finite.

    Args:
      program: of the run; each step of what is looked for is taken up to twice.
      state: good, of step `start`.
      start, end: the steps between which it was lost.
      near: a step in between, up to which it most likely was not.

    Returns:
      The state; None where taking these steps again does not lose it.
    """
    good, low, high = state, start, end
    for stop in (near, end):
        if stop > low:
            found = _advanced(program, good, low, stop)
            if _lost(good, found):
                high = stop
                break
            good, low = found, stop
    else:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        found = _advanced(program, good, low, middle)
        if _lost(good, found):
            high = middle
        else:
            good, low = found, middle
    return good


def find_not_finite(
    experiment: Experiment, state: TrainState, first_use: FirstUse
) -> NotFinite | None:
    """Look into the step that a state is before, and name the first number that is not finite.

    Args:
      experiment: of the run.
      state: good; every process that shares it calls this.
      first_use: `(function, params, *args) -> paths of the parameters` in the order in which the
        function uses them.

    Returns:
      What was found; None where all of the step is finite.
    """
    place = whole_beside(state)
    if place is not None:  # each of several processes looks at a copy of its own
        state = jax.jit(lambda s: s, out_shardings=place)(state)
        state = jax.tree.map(lambda x: on_host(x.addressable_data(0)), state)
    found = next(_suspects(experiment, state, first_use, place), None)
    return found and NotFinite(int(state.step) + 1, *found)


def _lost(before: TrainState, after: TrainState) -> bool:
    pair = [(state.params, state.model_state, state.opt_state) for state in (before, after)]
    return not stays_finite(*pair)


def _advanced(program: OneRun, state: TrainState, start: int, end: int) -> TrainState:
    """The state after some steps, with the evaluations that controls see between them."""
    state = jax.tree.map(lambda x: x.copy(), state)  # it is donated
    every = program.experiment.evaluate_every
    while start < end:
        count = min(program.most, end - start, every - start % every)
        state, *_ = program.advance(state, start, count)
        start += count
        if start % every == 0:
            state, _ = program.evaluate(state)
    return state


def _suspects(
    experiment: Experiment, state: TrainState, first_use: FirstUse, place: Any
) -> Iterator[tuple[str, str | None]]:
    """What of a step is not finite, in the order in which it is computed."""
    batch = _batch(experiment, state)
    names = {"x": "an input of the batch", "y": "a target of the batch", "weight": "a weight"}
    for name, what in names.items():
        if name in batch and not all_finite(batch[name]):
            yield what, None
    if experiment.prepare is not None:
        batch = experiment.prepare(state, batch)
        if not all_finite(batch["x"]):
            yield "an augmented input of the batch", None
    key = stream_key(state.key, Stream.MODEL, state.step)
    # What is computed anew in the backward pass is at no place to look at.
    model = experiment.forward._replace(remat=False, place=None)
    seen: list[str] = []
    with nn.intercept_methods(_noting(seen)):
        for outputs in passes(
            model, state.params, state.model_state, batch, key, experiment.microbatches
        ):
            if seen:
                yield f"the output of {seen[0]}", seen[0]
            if not all_finite(outputs):
                yield "an output of the model", None
    gradient = jax.jit(experiment.gradient, out_shardings=place)
    (_, (row, after)), grads = gradient(state.params, state.model_state, batch, key)
    for name in ("loss", "consistency", "penalty"):
        if name in row and not all_finite(row[name]):
            yield f"the {name}, of outputs that are finite,", None
    if lost := _lost_leaves(grads):
        # It goes from the loss backward, and everything before the layer where it appears is lost.
        forward = model.evaluate
        order = first_use(forward, state.params, state.model_state, batch["x"])
        used = [name for name in order if name in lost]
        yield f"the gradient of {used[-1]}", used[-1].rpartition("/")[0] or used[-1]
    if lost := _lost_leaves(after):
        yield f"the statistics {lost[0]}", lost[0].rpartition("/")[0]
    new, _ = jax.jit(experiment.step, out_shardings=place)(state, _batch(experiment, state))
    if lost := _lost_leaves(new.params):
        what = f"the update of {lost[0]}, of a gradient that is finite,"
        yield what, lost[0].rpartition("/")[0] or lost[0]
    if not stays_finite(state.opt_state, new.opt_state):
        yield "the optimizer's state, of a gradient that is finite,", None


def _noting(seen: list[str]) -> Callable[..., Any]:
    """An interceptor that notes the modules whose outputs are not finite, the innermost first."""

    def look(method, args, kwargs, context):
        outputs = method(*args, **kwargs)
        if path := "/".join(context.module.path):
            arrays = [x for x in jax.tree.leaves(outputs) if isinstance(x, jax.Array)]
            if not all_finite([x for x in arrays if is_concrete(x)]):
                seen.append(path)
        return outputs

    return look


def _lost_leaves(tree: Params) -> list[str]:
    leaves: Mapping[str, Any] = flatten_with_names(tree)
    return [n for n, x in leaves.items() if is_trained(x) and not jnp.isfinite(x).all()]


def _batch(experiment: Experiment, state: TrainState) -> Batch:
    """The batch that a state's next step sees."""
    data, drawn, step = experiment.train, experiment.drawn, int(state.step)
    examples = len(data["y"])
    order = drawn.order(state.key, jnp.int32(step // drawn.steps(examples)), examples)
    places, mask = drawn.places(examples, step)
    rows = places if order is None else np.asarray(order)[places]
    batch = {name: jnp.asarray(np.asarray(values[rows])) for name, values in data.items()}
    return batch if mask is None else batch | {MASK: jnp.asarray(mask)}
