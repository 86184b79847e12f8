"""Warm-up, stable, decay."""

from numbers import Integral
from typing import Annotated, Literal

import jax.numpy as jnp

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Duration, NonNegative, Positive, Range, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.anneal import cosine, linear, share_of
from jaxopt_lab.schedules.of_step import described, of_step

StepsOrZero = Annotated[int, Range(0), Duration()]


@checked
@described
def wsd(
    steps: Steps,
    warmup: StepsOrZero,
    decay: StepsOrZero,
    *,
    shape: Literal["linear", "cosine", "sqrt"] = "linear",
    start: NonNegative = 0.0,
    peak: Positive = 1.0,
    end: NonNegative = 0.0,
) -> Schedule:
    """Warm-up, stable, decay: up, constant, and down only over the last steps.

    For a run that may be continued: everything before the decay does not depend on its length.

        eta_k = start + (peak - start) k/w        up to step w
              = peak                              up to step tau - d
              = peak + (end - peak) f(x)          x = (k - tau + d) / d, then constant
        f(x) = x,   (1 - cos(pi x)) / 2   or   sqrt(x)

    Args:
      steps: tau, all of it; in a config the whole run unless given.
      warmup: w >= 0, the steps of the ramp up.
      decay: d >= 0, the steps of the way down; warmup + decay <= steps.
      shape: static; f, "linear", "cosine" or "sqrt", which falls fast first (1 - sqrt).
      start: the value at step 0, where w > 0.
      peak: the stable value.
      end: the value from step tau on.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range, or a warm-up and a decay that overlap.

    Reference: Hu et al., 2024, https://arxiv.org/abs/2404.06395; for 1 - sqrt Hägele et al., 2024,
    https://arxiv.org/abs/2405.18392. Differs from the first, whose decay is exponential.
    """
    lengths = (steps, warmup, decay)
    if all(isinstance(n, Integral) for n in lengths) and warmup + decay > steps:
        text = f"must be <= {steps - warmup}, what the warm-up leaves of {steps} steps, got {decay}"
        raise ArgumentError("wsd", {"decay": text})

    def schedule(step):
        up = linear(start, peak, share_of(step, 0, warmup))
        down = share_of(step, steps - decay, steps)
        if shape == "cosine":
            fallen = cosine(peak, end, down)
        else:
            fallen = linear(peak, end, jnp.sqrt(down) if shape == "sqrt" else down)
        return jnp.where(step < steps - decay, up, fallen)

    return of_step(schedule)
