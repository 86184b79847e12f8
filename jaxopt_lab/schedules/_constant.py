"""A constant schedule."""

from typing import Annotated

from jaxopt_lab.core.ranges import Duration, Positive, Range, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.of_step import described, of_step


@checked
@described
def constant(
    peak: Positive = 1.0, *, steps: Annotated[int | None, Range(1), Duration()] = None
) -> Schedule:
    """The same value at every step.

    As a stage between others: after a warm-up, before a decay.

        eta_k = eta_0

    Args:
      peak: eta_0, > 0.
      steps: the length of the stage in a configuration that joins several schedules; it changes
        nothing here.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `optax.constant_schedule`, which gives back the number itself.
    """
    del steps
    return of_step(lambda step: peak)
