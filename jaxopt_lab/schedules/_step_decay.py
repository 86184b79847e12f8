"""Step decay."""

from collections.abc import Sequence
from typing import Annotated

import jax.numpy as jnp

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Duration, Positive, Range, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.of_step import described, of_step
from jaxopt_lab.schedules.power import power


@checked
@described
def step_decay(
    every: Annotated[int | None, Range(1), Duration()] = None,
    *,
    at: Sequence[Steps] = (),
    factor: Annotated[float, Range(0, 1, low_open=True)] = 0.1,
    peak: Positive = 1.0,
) -> Schedule:
    """Constant, with a drop by a factor at every n-th step or at steps of a list.

    The recipe of the residual networks: 0.1, at a half and at three quarters of the run.

        eta_k = eta_0 f^(drops up to and with step k)

    Args:
      every: n, steps between drops; the first is at step n. Either this or `at`.
      at: the steps of the drops, in any order.
      factor: 0 < f <= 1.
      peak: eta_0, the value at step 0.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range, or unless one of `every` and `at` is given.

    Reference: He et al., 2016, https://arxiv.org/abs/1512.03385; `StepLR` and `MultiStepLR` of
    PyTorch.
    """
    if (every is None) == (len(at) == 0):
        given = "neither is" if every is None else "both are"
        text = f"or `at`, the steps of the drops, must be given, one of the two; {given}"
        raise ArgumentError("step_decay", {"every": text})

    def schedule(step):
        drops = sum(jnp.int32(step >= k) for k in at) if every is None else step // every
        return peak * power(factor, drops)

    return of_step(schedule)
