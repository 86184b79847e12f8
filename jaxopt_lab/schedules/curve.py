"""A schedule as a picture for a notebook, over as many steps as it takes to see what it does."""

import math
from collections.abc import Sequence

import jax
import numpy as np

from jaxopt_lab.core.line_chart import line_chart
from jaxopt_lab.core.types import Schedule

POINTS = 400  # one size, and so one compilation
_STEPS, _MOST = 1000, 10**6  # of a schedule that never changes, and of a very slow one


def curve_of(schedule: Schedule, counts: Sequence[int]) -> str:
    """The curve as SVG.

    Args:
      schedule: without traced numbers.
      counts: the steps that it was made by, such as its length; empty where there are none.
    """
    values = jax.jit(jax.vmap(schedule))

    def over(last: int) -> tuple[np.ndarray, np.ndarray]:
        steps = np.linspace(0, last, POINTS).astype(np.int32)
        return steps, np.asarray(values(steps), np.float64)

    last = 4 * max(counts, default=_STEPS // 4)  # several periods, where it has them
    steps, found = over(last)
    while np.ptp(found) < 0.5 * np.max(np.abs(found)) and last < _MOST:
        last *= 4
        steps, found = over(last)
    if np.ptp(found) == 0:
        steps, found = over(_STEPS)
    for _ in range(8):  # what stays as it is to the end needs no more than a bit of room
        moves = np.flatnonzero(np.diff(found))
        needed = math.ceil(1.1 * steps[min(moves[-1] + 1, POINTS - 1)]) if len(moves) else last
        if needed >= 0.9 * steps[-1]:
            break
        steps, found = over(needed)
    steps, first = np.unique(steps, return_index=True)
    return line_chart(steps.tolist(), found[first].tolist(), "step", "value")
