"""Exponential decay."""

from typing import Annotated

import jax.numpy as jnp

from jaxopt_lab.core.ranges import Positive, Range, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.of_step import described, of_step
from jaxopt_lab.schedules.power import power


@checked
@described
def exponential_decay(
    every: Steps,
    rate: Annotated[float, Range(0, 1, low_open=True)],
    *,
    staircase: bool = False,
    peak: Positive = 1.0,
) -> Schedule:
    """A constant factor in equal times.

    Like `step_decay`, without its jumps unless they are asked for.

        eta_k = eta_0 r^(k / n)

    Args:
      every: n, the steps in which the value falls by the factor r.
      rate: 0 < r <= 1.
      staircase: static; fall at every n-th step only, floor(k / n) in place of k / n.
      peak: eta_0, the value at step 0.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `keras.optimizers.schedules.ExponentialDecay`, `torch.optim.lr_scheduler.StepLR`.
    """

    def schedule(step):
        return peak * power(rate, step // every if staircase else jnp.asarray(step, float) / every)

    return of_step(schedule)
