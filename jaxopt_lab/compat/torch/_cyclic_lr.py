"""PyTorch's CyclicLR."""

from typing import Annotated, Literal

from jaxopt_lab.core.ranges import Count, NonNegative, Positive, Range, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules import cyclical


@checked
def CyclicLR(
    base_lr: NonNegative,
    max_lr: Positive,
    step_size_up: Count = 2000,
    step_size_down: Annotated[int | None, Range(1)] = None,
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
    gamma: Annotated[float, Range(0, 1, low_open=True)] = 1.0,
) -> Schedule:
    """PyTorch's CyclicLR as a schedule.

    Args:
      base_lr: the rate at step 0 and at the end of every cycle.
      max_lr: the rate at the top of the first cycle.
      step_size_up: steps from the one to the other.
      step_size_down: steps back; None for as many.
      mode: static; how the amplitude changes from cycle to cycle.
      gamma: 0 < gamma <= 1, for "exp_range" only.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range or an unknown mode.

    Reference: `torch.optim.lr_scheduler.CyclicLR`.

    Differs from: its momentum is a second schedule here, with the ends exchanged:
    `CyclicLR(max_momentum, base_momentum, ...)`. `scale_fn` is any function of your own.
    """
    return cyclical(
        step_size_up, down=step_size_down, mode=mode, gamma=gamma, base=base_lr, peak=max_lr
    )
