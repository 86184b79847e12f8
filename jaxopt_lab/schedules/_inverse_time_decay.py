"""Inverse-time decay."""

import jax.numpy as jnp

from jaxopt_lab.core.ranges import NonNegative, Positive, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.of_step import described, of_step


@checked
@described
def inverse_time_decay(
    rate: NonNegative, *, every: Steps = 1, staircase: bool = False, peak: Positive = 1.0
) -> Schedule:
    """Down as one over time: the decay under which stochastic gradients provably converge.

    Slow at the end and never zero, so it needs no known budget.

        eta_k = eta_0 / (1 + d k / n)

    Args:
      rate: d >= 0, how fast; the value has halved after n / d steps.
      every: n, the steps in which the denominator grows by d.
      staircase: static; fall at every n-th step only, floor(k / n) in place of k / n.
      peak: eta_0, the value at step 0.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Robbins and Monro, 1951, https://doi.org/10.1214/aoms/1177729586; the old `decay`
    argument of Keras' optimizers is `rate` with `every=1`.
    """

    def schedule(step):
        periods = step // every if staircase else jnp.asarray(step, float) / every
        return peak / (1 + rate * jnp.asarray(periods, float))

    return of_step(schedule)
