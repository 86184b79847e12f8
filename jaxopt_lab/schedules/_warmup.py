"""Linear warm-up."""

from jaxopt_lab.core.ranges import NonNegative, Positive, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.anneal import linear, share_of
from jaxopt_lab.schedules.of_step import described, of_step


@checked
@described
def warmup(steps: Steps, *, start: NonNegative = 0.0, peak: Positive = 1.0) -> Schedule:
    """From `start` up to `peak` on a straight line, then constant.

    The first stage of a run with a large rate or batch, or of an adaptive method whose second
    moment is still young: `join([warmup(500), cosine_decay(9500)], [500])`.

        eta_k = (1 - k/w) eta_start + (k/w) eta_peak    for k <= w

    Args:
      steps: w, the length of the ramp; in a config the whole run unless given.
      start: the value at step 0. A rate of 0 makes the first step idle; 1/w of the peak does not.
      peak: the value from step w on.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Goyal et al., 2017, https://arxiv.org/abs/1706.02677
    """
    return of_step(lambda step: linear(start, peak, share_of(step, 0, steps)))
