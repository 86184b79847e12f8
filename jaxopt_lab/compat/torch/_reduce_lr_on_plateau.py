"""PyTorch's ReduceLROnPlateau."""

from typing import Annotated, Literal

import optax

from jaxopt_lab.control import plateau_learning_rate
from jaxopt_lab.core.ranges import NonNegative, OpenDecay, Positive, Range, checked


@checked
def ReduceLROnPlateau(
    optimizer: optax.GradientTransformation,
    mode: Literal["min", "max"] = "min",
    factor: OpenDecay = 0.1,
    patience: Annotated[int, Range(0)] = 10,
    threshold: NonNegative = 1e-4,
    threshold_mode: Literal["rel", "abs"] = "rel",
    cooldown: Annotated[int, Range(0)] = 0,
    min_lr: NonNegative = 0.0,
    *,
    monitor: str = "val_loss",
    lr: Positive = 1.0,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's ReduceLROnPlateau around one of this toolkit's optimizers.

    Args:
      optimizer: what has the rate, such as `compat.torch.SGD(0.1)`.
      mode: static; whether "min" or "max" is better.
      factor: in (0, 1), on the rate at each reduction.
      patience: measurements without improvement that are let pass, >= 0.
      threshold: >= 0, by how much a value must be better to count.
      threshold_mode: static; "rel" as a share of the best value, "abs" as it is.
      cooldown: measurements after a reduction that do not count, >= 0.
      min_lr: the lowest rate.
      monitor: name of the metric in `metrics=` of `update`; PyTorch is given the value itself.
      lr: the optimizer's rate, which `min_lr` is compared with.

    Returns:
      A transformation; see `control.plateau_learning_rate`.

    Raises:
      ArgumentError: for a number out of its range or an unknown word.

    Reference: `torch.optim.lr_scheduler.ReduceLROnPlateau`.

    Differs from: PyTorch leaves out a reduction by less than its `eps`, 1e-8. Its relative margin
    widens what is better for negative values; here it is of their size (see
    `control.reduce_on_plateau`).
    """
    return plateau_learning_rate(
        optimizer,
        monitor=monitor,
        factor=factor,
        patience=patience,
        mode=mode,
        threshold=threshold,
        threshold_mode="relative" if threshold_mode == "rel" else "absolute",
        cooldown=cooldown,
        floor=min_lr,
        learning_rate=lr,
        rule="torch",
    )
