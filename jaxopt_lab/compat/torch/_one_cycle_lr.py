"""PyTorch's OneCycleLR."""

from typing import Annotated, Literal

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Positive, Probability, Range, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules import one_cycle

MaybeCount = Annotated[int | None, Range(1)]


@checked
def OneCycleLR(
    max_lr: Positive,
    total_steps: MaybeCount = None,
    epochs: MaybeCount = None,
    steps_per_epoch: MaybeCount = None,
    pct_start: Probability = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    *,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """PyTorch's OneCycleLR as a schedule.

    Args:
      max_lr: the highest rate.
      total_steps: all steps; or else both of the next two.
      epochs: passes over the data.
      steps_per_epoch: steps of each.
      pct_start: share of the steps on the way up, in [0, 1].
      anneal_strategy: static; "cos" or "linear".
      div_factor: max_lr / div_factor is the first rate.
      final_div_factor: the first rate / final_div_factor is the last.
      three_phase: static; come down as long as it went up, then fall to the last rate.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range, or where the number of steps is not given.

    Reference: `torch.optim.lr_scheduler.OneCycleLR`.

    Differs from: its momentum is a second schedule here; after the last step the rate stays, where
    PyTorch raises.
    """
    if total_steps is None:
        if epochs is None or steps_per_epoch is None:
            text = "must be given, or else both epochs and steps_per_epoch"
            raise ArgumentError("OneCycleLR", {"total_steps": text})
        total_steps = epochs * steps_per_epoch
    start = max_lr / div_factor
    return one_cycle(
        total_steps,
        rise=pct_start,
        anneal=anneal_strategy,
        three_phase=three_phase,
        peak=max_lr,
        start=start,
        end=start / final_div_factor,
    )
