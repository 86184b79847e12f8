"""Linear decay."""

from jaxopt_lab.core.ranges import NonNegative, Positive, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.anneal import linear, share_of
from jaxopt_lab.schedules.of_step import described, of_step


@checked
@described
def linear_decay(steps: Steps, *, peak: Positive = 1.0, end: NonNegative = 0.0) -> Schedule:
    """From `peak` to `end` on a straight line, then constant.

    The simplest decay to zero, and for a known budget hard to beat.

        eta_k = (1 - k/tau) eta_0 + (k/tau) eta_tau    for k <= tau

    Args:
      steps: tau, the length of the decay; in a config the whole run unless given.
      peak: eta_0, the value at step 0.
      end: eta_tau, the value from step tau on.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Goodfellow et al., Deep Learning, 2016, equation 8.14.
    """
    return of_step(lambda step: linear(peak, end, share_of(step, 0, steps)))
