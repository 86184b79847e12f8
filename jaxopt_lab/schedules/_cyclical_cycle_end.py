"""Where the cycles of cyclical learning rates end."""

from collections.abc import Callable
from typing import Annotated, Literal

import jax

from jaxopt_lab.core.ranges import Duration, Positive, Range, Steps, checked
from jaxopt_lab.schedules.cycles import cycle_at
from jaxopt_lab.schedules.of_step import as_step


@checked
def cyclical_cycle_end(
    up: Steps,
    *,
    down: Annotated[int | None, Range(1), Duration()] = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: Annotated[float, Range(0, 1, low_open=True)] = 0.99994,
    base: Annotated[float | None, Range(0)] = None,
    peak: Positive = 1.0,
) -> Callable[[jax.typing.ArrayLike], jax.Array]:
    """Whether a step is the last of a cycle of `cyclical`, before the next rise.

    For `control.snapshots`.

        k + 1 = i (U + D)    for some i >= 1

    Args:
      up: as in `cyclical`, and so are all others; only this and `down` matter here.
      down: as in `cyclical`.
      mode: as in `cyclical`.
      gamma: as in `cyclical`.
      base: as in `cyclical`.
      peak: as in `cyclical`.

    Returns:
      `step -> bool scalar`, exact for every int32 step.

    Raises:
      ArgumentError: for a number out of its range or an unknown mode.

    Reference: Huang et al., 2017, https://arxiv.org/abs/1704.00109
    """
    del mode, gamma, base, peak

    def is_cycle_end(step):
        step = as_step(step)
        return step == cycle_at(step, up + (up if down is None else down), 1).last

    return is_cycle_end
