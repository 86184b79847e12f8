"""Cosine decay with warm restarts."""

from numbers import Integral
from typing import Annotated

import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import (
    Count,
    Duration,
    NonNegative,
    Positive,
    Range,
    Steps,
    checked,
)
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules._sgdr_cycle_end import sgdr_cycle_end
from jaxopt_lab.schedules.anneal import cosine, linear
from jaxopt_lab.schedules.cycles import cycle_at
from jaxopt_lab.schedules.of_step import described, of_step
from jaxopt_lab.schedules.power import power


@declare(cycle_end=sgdr_cycle_end)
@checked
@described
def sgdr(
    cycle: Steps,
    *,
    t_mult: Count = 1,
    m_mult: Annotated[float, Range(0, 1, low_open=True)] = 1.0,
    warmup: Annotated[int, Range(0), Duration()] = 0,
    peak: Positive = 1.0,
    end: NonNegative = 0.0,
) -> Schedule:
    """Cosine decay with warm restarts: down over a cycle, back to the top, and again.

    Each cycle ends in a minimum, a good place to stop or to take a member of an ensemble
    (`sgdr_cycle_end`, `control.snapshots`).

        T_i = T_0 t^i,    max_i = end + (peak - end) m^i        in cycle i from 0
        eta_k = end + (max_i - end) j / w                       j < w steps into the cycle
        eta_k = end + 1/2 (max_i - end) (1 + cos(pi (j - w) / (T_i - w)))        after that

    Args:
      cycle: T_0, the length of the first cycle.
      t_mult: t >= 1, a whole number; each cycle is so many times as long as the one before.
      m_mult: 0 < m <= 1, the factor on the height above `end` at each restart.
      warmup: w, the steps of a linear rise at the beginning of each cycle; below `cycle`.
      peak: the first maximum.
      end: what each cycle comes down towards; the restart comes one step before it is reached.

    Returns:
      A schedule, `step -> scalar`. The index of the cycle is exact for every int32 step.

    Raises:
      ArgumentError: for a number out of its range, or a warm-up as long as the first cycle.

    Reference: Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983

    Differs from: as Keras' CosineDecayRestarts with a whole t_mult (its `alpha` is end / peak) and,
    with m_mult 1, PyTorch's CosineAnnealingWarmRestarts. Neither has a warm-up.
    """
    if isinstance(cycle, Integral) and isinstance(warmup, Integral) and warmup >= cycle:
        text = f"must be < {cycle}, the length of the first cycle, got {warmup}"
        raise ArgumentError("sgdr", {"warmup": text})

    def schedule(step):
        now = cycle_at(step, cycle, t_mult)
        into = (step - now.first).astype(float)
        top = end + (peak - end) * power(m_mult, now.index)
        rise = linear(end, top, into / jnp.maximum(warmup, 1))
        fall = cosine(top, end, jnp.clip((into - warmup) / (now.length - warmup), 0, 1))
        return jnp.where(into < warmup, rise, fall)

    return of_step(schedule)
