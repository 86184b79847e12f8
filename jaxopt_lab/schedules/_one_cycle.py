"""The one-cycle policy."""

from numbers import Real
from typing import Annotated, Literal

import jax.numpy as jnp

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Positive, Range, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.anneal import cosine, linear, share_of
from jaxopt_lab.schedules.of_step import described, of_step

ShareOfPeak = Annotated[float | None, Range(0)]


@checked
@described
def one_cycle(
    steps: Steps,
    *,
    rise: Annotated[float, Range(0, 1)] = 0.3,
    anneal: Literal["cos", "linear"] = "cos",
    three_phase: bool = False,
    peak: Positive = 1.0,
    start: ShareOfPeak = None,
    end: ShareOfPeak = None,
) -> Schedule:
    """Up once, and down to far below where it began.

    For large rates over a short run ("super-convergence"). Momentum goes the other way: a second
    one with `peak` below `start` and `end`, such as `one_cycle(n, peak=0.85, start=0.95, end=0.95)`
    as the optimizer's beta.

        start -> peak        up to step a = rho tau - 1
        peak  -> end         up to step tau - 1                        two phases
        peak  -> start       up to step 2 a, and then
        start -> end         up to step tau - 1                        three phases

    Each way is half a cosine or a straight line. The last of the tau steps has the value `end`, and
    so have all after it.

    Args:
      steps: tau, all of it; in a config the whole run unless given.
      rise: rho in [0, 1], the share of the steps on the way up; at most 1/2 with three phases.
      anneal: static; "cos" or "linear".
      three_phase: static; come down as long as it went up, then fall to `end`.
      peak: the highest value.
      start: the value at step 0; None for peak / 25.
      end: the last value; None for start / 10,000.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range, or three phases whose first two do not fit.

    Reference: Smith and Topin, 2018, https://arxiv.org/abs/1708.07120

    Differs from: as PyTorch's OneCycleLR (`max_lr`, `div_factor`, `final_div_factor`), which raises
    after its last step; optax's `cosine_onecycle_schedule` ends one step later.
    """
    if three_phase and isinstance(rise, Real) and rise > 0.5:
        text = f"must be <= 0.5 where the way down is as long (three_phase), got {rise!r}"
        raise ArgumentError("one_cycle", {"rise": text})
    way = cosine if anneal == "cos" else linear
    low = peak / 25 if start is None else start
    last = low / 1e4 if end is None else end

    def schedule(step):
        top, bottom = rise * steps - 1, 2 * rise * steps - 2
        up = way(low, peak, share_of(step, 0, top))
        if three_phase:
            down = way(peak, low, share_of(step, top, bottom))
            tail = way(low, last, share_of(step, bottom, steps - 1))
            return jnp.where(step <= top, up, jnp.where(step <= bottom, down, tail))
        return jnp.where(step <= top, up, way(peak, last, share_of(step, top, steps - 1)))

    return of_step(schedule)
