"""The host's side of many runs at once: chunks of steps with evaluations between them."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

# How often the host looks up. Less often than for a single run: blocks of runs come and go from the
# caches with each chunk, and an epoch that is cut has its order drawn twice.
SECONDS_PER_CHUNK = 0.5


class RunsChunk(NamedTuple):
    """Some steps of R runs, and their evaluation if one was due.

    Attributes:
      owns: of the runs, after the steps; donated to the next chunk.
      start, count: the step before the first of these, and how many there are.
      rows: metrics of each step, (R, count) each.
      steps: that each run has taken, (R,); a run that has stopped early takes no more.
      evaluation: `{name: (R,)}`, or None; of a run that has stopped it means nothing.
      alive: whether a run's parameters are finite, (R,).
      seconds: of the steps and the evaluation.
    """

    owns: Any
    start: int
    count: int
    rows: dict[str, np.ndarray]
    steps: np.ndarray
    evaluation: dict[str, np.ndarray] | None
    alive: np.ndarray
    seconds: float


def fit_runs(
    owns: Any,
    advance: Callable[[Any, int, int], tuple[Any, dict[str, Any], jax.Array, jax.Array]],
    evaluate: Callable[[Any], tuple[Any, dict[str, jax.Array]]] | None,
    *,
    start: int,
    total: int,
    evaluate_every: int,
    most: int,
) -> Iterator[RunsChunk]:
    """Train runs from step `start` to `total`, yielding after each chunk.

    Ends sooner where every run has stopped early or diverged. Evaluations come after steps that
    `evaluate_every` divides and after the last, as in `engine.fit`.

    Args:
      owns: what belongs to the runs, leading axis R.
      advance: `(owns, start, count) -> (owns, rows, steps, alive)`, rows of (R, capacity).
      evaluate: `owns -> (owns, values)`, or None.
      start, total: steps from and to.
      evaluate_every: steps between evaluations, >= 1.
      most: the largest count of one call.

    Yields:
      Chunks, in order.
    """
    step, pace = start, 1
    while step < total:
        count = min(pace, most, total - step, evaluate_every - step % evaluate_every)
        begin = time.perf_counter()
        owns, rows, steps, alive = advance(owns, step, count)
        rows = {name: np.asarray(values)[:, :count] for name, values in rows.items()}
        steps, alive = np.asarray(steps), np.asarray(alive)
        seconds = time.perf_counter() - begin
        pace = max(1, min(8 * count, round(SECONDS_PER_CHUNK / max(seconds / count, 1e-9))))
        before, step = step, step + count
        evaluation = None
        if evaluate is not None and (step % evaluate_every == 0 or step == total):
            owns, values = evaluate(owns)
            evaluation = {name: np.asarray(v) for name, v in values.items()}
        seconds = time.perf_counter() - begin
        yield RunsChunk(owns, before, count, rows, steps, evaluation, alive, seconds)
        if not np.any(alive & (steps == step)):
            return
