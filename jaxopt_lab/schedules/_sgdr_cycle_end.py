"""Where the cycles of SGDR end."""

from collections.abc import Callable
from typing import Annotated

import jax

from jaxopt_lab.core.ranges import Count, Duration, NonNegative, Positive, Range, Steps, checked
from jaxopt_lab.schedules.cycles import cycle_at
from jaxopt_lab.schedules.of_step import as_step


@checked
def sgdr_cycle_end(
    cycle: Steps,
    *,
    t_mult: Count = 1,
    m_mult: Annotated[float, Range(0, 1, low_open=True)] = 1.0,
    warmup: Annotated[int, Range(0), Duration()] = 0,
    peak: Positive = 1.0,
    end: NonNegative = 0.0,
) -> Callable[[jax.typing.ArrayLike], jax.Array]:
    """Whether a step is the last of a cycle of `sgdr`, before the restart.

    For `control.snapshots`: the step before a restart is the one with the lowest rate.

        k + 1 = T_0 + T_1 + ... + T_i    for some i

    Args:
      cycle: as in `sgdr`, and so are all others; only this and t_mult matter here.
      t_mult: as in `sgdr`.
      m_mult: as in `sgdr`.
      warmup: as in `sgdr`.
      peak: as in `sgdr`.
      end: as in `sgdr`.

    Returns:
      `step -> bool scalar`, exact for every int32 step.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Huang et al., 2017, https://arxiv.org/abs/1704.00109
    """
    del m_mult, warmup, peak, end

    def is_cycle_end(step):
        step = as_step(step)
        return step == cycle_at(step, cycle, t_mult).last

    return is_cycle_end
