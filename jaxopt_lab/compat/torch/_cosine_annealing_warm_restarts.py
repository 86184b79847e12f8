"""PyTorch's CosineAnnealingWarmRestarts."""

from jaxopt_lab.core.ranges import Count, NonNegative, Positive, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules import sgdr


@checked
def CosineAnnealingWarmRestarts(
    lr: Positive, T_0: Count, T_mult: Count = 1, eta_min: NonNegative = 0.0
) -> Schedule:
    """PyTorch's CosineAnnealingWarmRestarts as a schedule.

    Args:
      lr: the optimizer's rate, from which each cycle comes down; in PyTorch the optimizer has it.
      T_0: steps of the first cycle.
      T_mult: each cycle is so many times as long as the one before.
      eta_min: what each cycle comes down towards.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`.

    Differs from: whole steps only; PyTorch's `step(epoch + i / n)` takes parts of an epoch.
    """
    return sgdr(T_0, t_mult=T_mult, peak=lr, end=eta_min)
