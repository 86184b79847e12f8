"""Cyclical learning rates."""

from typing import Annotated, Literal

import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Duration, Positive, Range, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules._cyclical_cycle_end import cyclical_cycle_end
from jaxopt_lab.schedules.of_step import described, of_step
from jaxopt_lab.schedules.power import power


@declare(cycle_end=cyclical_cycle_end)
@checked
@described
def cyclical(
    up: Steps,
    *,
    down: Annotated[int | None, Range(1), Duration()] = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: Annotated[float, Range(0, 1, low_open=True)] = 0.99994,
    base: Annotated[float | None, Range(0)] = None,
    peak: Positive = 1.0,
) -> Schedule:
    """A triangle between two values, again and again.

    Where the best rate is not known: the two ends bracket it. Momentum goes the other way with a
    `base` above the `peak`: `cyclical(500, base=0.95, peak=0.85)` as the optimizer's beta is high
    where `cyclical(500)` as its rate is low.

        eta_k = base + (peak - base) a x_k
        x_k = j / U  for j <= U,   (U + D - j) / D  after that,   j = k mod (U + D)
        a = 1  (triangular),   2^-c, c = floor(k / (U + D))  (triangular2),   gamma^k  (exp_range)

    Args:
      up: U, steps from `base` to `peak`.
      down: D, steps from `peak` to `base`; None for as many as up.
      mode: static; how the amplitude a changes.
      gamma: 0 < gamma <= 1, for "exp_range" only.
      base: the value at step 0, and at the end of every cycle; None for peak / 4.
      peak: the value at step U.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range or an unknown mode.

    Reference: Smith, 2017, https://arxiv.org/abs/1506.01186

    Differs from: as PyTorch's CyclicLR, whose momentum is a second one with the ends exchanged.
    """
    down = up if down is None else down
    low = peak / 4 if base is None else base

    def schedule(step):
        into = step % (up + down)
        # From the nearer end in whole numbers. JAX divides these in float32, under x64 too.
        done, left = jnp.asarray(into, float), jnp.asarray(up + down - into, float)
        height = jnp.where(into <= up, done / up, left / down)
        amplitude = {
            "triangular": lambda: 1.0,
            "triangular2": lambda: power(0.5, step // (up + down)),
            "exp_range": lambda: power(gamma, step),
        }[mode]()
        return low + (peak - low) * amplitude * height

    return of_step(schedule)
