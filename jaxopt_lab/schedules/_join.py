"""Schedules in turn."""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.of_step import described, of_step


@checked
@described
def join(schedules: Sequence[Schedule], lengths: Sequence[Steps]) -> Schedule:
    """Schedules in turn, each counted from 0; the last goes on for ever.

    For a warm-up before anything: `join([warmup(500), sgdr(1000)], [500])`. In a configuration
    several `[[schedule]]` are joined in their order.

        eta_k = s_i(k - (l_0 + ... + l_(i-1)))    from step l_0 + ... + l_(i-1) on

    Args:
      schedules: s_0 to s_n, one or more.
      lengths: l_0 to l_(n-1), the steps of each but the last.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for no schedules, a length below 1, or as many lengths as schedules.

    Reference: `optax.join_schedules`, which takes the boundaries and not the lengths.
    """
    if len(lengths) != len(schedules) - 1:
        text = f"must be one fewer than the {len(schedules)} schedules, got {len(lengths)}"
        raise ArgumentError("join", {"lengths": text})

    def schedule(step):
        value, begin = schedules[0](step), 0
        for length, following in zip(lengths, schedules[1:], strict=True):
            begin += length
            after = following(jnp.maximum(step - begin, 0))
            value = jnp.where(step >= begin, after, value)
        return value

    return of_step(schedule)
