"""The host's side of training: chunks of steps with evaluations between them."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from jaxopt_lab.engine.program import Program
from jaxopt_lab.engine.state import TrainState, with_evaluation

# How often the host looks up, to draw progress and to see an interrupt: a few times a second.
SECONDS_PER_CHUNK = 0.2


class Chunk(NamedTuple):
    """Some steps, and the evaluation after them if one was due.

    Attributes:
      state: after the steps. It is donated to the next chunk: save it before asking for that.
      start: the step before the first of these.
      rows: metrics of each step, (count,) each.
      evaluation: `{name: value}` of the state's params, or None.
      seconds: of the steps; `evaluation_seconds` of the evaluation.
      stopped: whether the optimizer has stopped the run; no chunk follows.
    """

    state: TrainState
    start: int
    rows: dict[str, np.ndarray]
    evaluation: dict[str, float] | None
    seconds: float
    evaluation_seconds: float
    stopped: bool = False


def fit(
    state: TrainState,
    program: Program,
    evaluate: Callable[[TrainState], dict[str, jax.Array]] | None,
    *,
    total: int,
    evaluate_every: int,
    steps_per_chunk: int | None = None,
) -> Iterator[Chunk]:
    """Train to step `total` or an early stop, yielding after each chunk.

    Evaluations come after steps that `evaluate_every` divides and after the last, whatever the
    lengths of the chunks, which follow the clock.

    Args:
      state: where to begin: a new state, or a saved one.
      program: from `compile_program`.
      evaluate: `state -> {name: value}`, or None.
      total: the step to train to.
      evaluate_every: steps between evaluations, >= 1.
      steps_per_chunk: the length of a chunk where no evaluation is nearer; None to follow the
        clock, which differs between the processes of one run.

    Yields:
      Chunks, in order.
    """
    step, pace = int(state.step), steps_per_chunk or 1
    while step < total:
        next_evaluation = (step // evaluate_every + 1) * evaluate_every
        count = min(pace, program.most, total - step, next_evaluation - step)
        begin = time.perf_counter()
        state, rows = program.advance(state, step, count)
        seconds = time.perf_counter() - begin
        # At most 8 times as many as before: one fast first step says little about the next ones.
        if steps_per_chunk is None:
            pace = max(1, min(8 * count, round(SECONDS_PER_CHUNK / max(seconds / count, 1e-9))))
        start, step = step, step + count
        frozen = int(state.step) < step
        if frozen:  # an early stop, told by the state: what came after it did not happen
            step = int(state.step)
            rows = {name: values[: step - start] for name, values in rows.items()}
        measured, begin = None, time.perf_counter()
        due = step % evaluate_every == 0 or step == total
        if evaluate is not None and due and not frozen:
            values = evaluate(state)
            state = with_evaluation(state, values)
            measured = {name: float(v) for name, v in values.items()}
        yield Chunk(state, start, rows, measured, seconds, time.perf_counter() - begin, frozen)
        if frozen:
            return
