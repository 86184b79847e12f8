"""Polynomial decay."""

import jax.numpy as jnp

from jaxopt_lab.core.ranges import NonNegative, Positive, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.anneal import share_of
from jaxopt_lab.schedules.of_step import described, of_step


@checked
@described
def polynomial_decay(
    steps: Steps,
    *,
    peak: Positive = 1.0,
    end: NonNegative = 0.0,
    power: Positive = 1.0,
    cycle: bool = False,
) -> Schedule:
    """From `peak` to `end` as a power of the time left, then constant.

    With power 0.9 the usual schedule of segmentation networks; with 1 it is `linear_decay`.

        eta_k = eta_tau + (eta_0 - eta_tau) (1 - k / tau)^p    for k <= tau

    Args:
      steps: tau, the length of the decay; in a config the whole run unless given.
      peak: eta_0, the value at step 0.
      end: eta_tau, the value from step tau on.
      power: p > 0; above 1 falls early, below 1 late.
      cycle: static; after tau, begin again with the next multiple of tau as the length, so that
        each rise is lower than the one before.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `keras.optimizers.schedules.PolynomialDecay`; `PolynomialLR` of PyTorch, whose end
    is 0.
    """

    def schedule(step):
        length = jnp.maximum(-(-step // steps), 1) * jnp.asarray(steps, float) if cycle else steps
        left = 1 - share_of(step, 0, length)
        return end + (peak - end) * left**power

    return of_step(schedule)
