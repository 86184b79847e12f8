"""The one driver: chunks of steps with evaluations between them, of one run or of many."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_lab.core.memory import give_back
from jaxopt_lab.core.types import Program

# How often the host looks up, to draw progress and to see an interrupt: a few times a second.
SECONDS_PER_CHUNK = 0.2


class Chunk(NamedTuple):
    """Some steps of R runs, and the evaluation after them if one was due.

    Attributes:
      state: the program's, after the steps. It is donated to the next chunk: save it before asking
        for that.
      start, count: the step before the first of these, and how many there are.
      rows: metrics of each step, (R, count) each.
      steps: that each run has taken, (R,); a run that has stopped early or is lost takes no more,
        and its rows from there on mean nothing.
      alive: whether a run's parameters are finite and it has not given up, (R,).
      evaluation: `{name: (R,)}`, or None; of a run that has stopped it means nothing.
      seconds: of the steps; `evaluation_seconds` of the evaluation.
      data_wait_seconds: of `seconds`, those in which the device had nothing to do, because a batch
        was not there yet.
    """

    state: Any
    start: int
    count: int
    rows: dict[str, np.ndarray]
    steps: np.ndarray
    alive: np.ndarray
    evaluation: dict[str, np.ndarray] | None
    seconds: float
    evaluation_seconds: float
    data_wait_seconds: float = 0.0

    @property
    def end(self) -> int:
        """The step after the last of these."""
        return self.start + self.count


def fit(
    program: Program,
    state: Any,
    *,
    start: int,
    total: int,
    evaluate_every: int | None,
    save_every: int | None = None,
    steps_per_chunk: int | None = None,
    seconds_per_chunk: float = SECONDS_PER_CHUNK,
    donate: bool = False,
) -> Iterator[Chunk]:
    """Train from step `start` to `total`, yielding after each chunk.

    Ends sooner where every run has stopped early or diverged. Evaluations come after steps that
    `evaluate_every` divides and after the last, whatever the lengths of the chunks, which follow
    the clock.

    Args:
      program: one run or many.
      state: of the program at step `start`: a new one, or a saved one.
      start, total: steps from and to.
      evaluate_every: steps between evaluations, >= 1; None for no evaluation.
      save_every: a chunk ends at the steps that it divides too, so that what is saved there does
        not follow the clock; None where nothing is.
      steps_per_chunk: the length of a chunk where no evaluation is nearer; None to follow the
        clock, which differs between the processes of one run.
      seconds_per_chunk: what a chunk aims at where it follows the clock.
      donate: whether the memory of `state` may be taken, which is then not to be used any more;
        without it the steps begin with a copy.

    Yields:
      Chunks, in order.
    """
    if not donate:
        state = jax.tree.map(lambda x: x.copy() if isinstance(x, jax.Array) else x, state)
    step, pace, evaluated = start, steps_per_chunk or 1, False
    give_back()  # what compiling left
    while step < total:
        marks = (evaluate_every, save_every, total)
        to_stop = min(every - step % every for every in marks if every)
        count = min(pace, program.most, to_stop)
        begin, waited = time.perf_counter(), program.waited
        state, rows, steps, alive = program.advance(state, step, count)
        seconds, waited = time.perf_counter() - begin, program.waited - waited
        # At most 8 times as many as before: one fast first step says little about the next ones.
        if steps_per_chunk is None:
            pace = max(1, min(8 * count, round(seconds_per_chunk / max(seconds / count, 1e-9))))
        before, step = step, step + count
        going = steps == step
        evaluation, begin = None, time.perf_counter()
        due = evaluate_every is not None and (step % evaluate_every == 0 or step == total)
        if due and going.any():
            state, values = program.evaluate(state)
            evaluation = values or None
            if not evaluated:
                give_back()
            evaluated = True
        measured = time.perf_counter() - begin
        yield Chunk(state, before, count, rows, steps, alive, evaluation, seconds, measured, waited)
        if not (alive & going).any():
            return
