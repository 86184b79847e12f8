"""Keras' ReduceLROnPlateau."""

from typing import Annotated

import optax

from jaxopt_lab.compat.keras.mode import KerasMode, resolved
from jaxopt_lab.control import plateau_learning_rate
from jaxopt_lab.core.ranges import NonNegative, OpenDecay, Positive, Range, checked


@checked
def ReduceLROnPlateau(
    optimizer: optax.GradientTransformation,
    monitor: str = "val_loss",
    factor: OpenDecay = 0.1,
    patience: Annotated[int, Range(0)] = 10,
    mode: KerasMode = "auto",
    min_delta: NonNegative = 1e-4,
    cooldown: Annotated[int, Range(0)] = 0,
    min_lr: NonNegative = 0.0,
    *,
    learning_rate: Positive = 1.0,
) -> optax.GradientTransformationExtraArgs:
    """Keras' ReduceLROnPlateau around one of this toolkit's optimizers.

    Args:
      optimizer: what has the rate, such as `compat.keras.SGD(0.1)`.
      monitor: name of the metric, one of those in `metrics=` of `update`.
      factor: in (0, 1), on the rate at each reduction.
      patience: measurements without improvement, >= 0.
      mode: static; "auto" is "max" where the monitor's name holds "acc", and "min" elsewhere.
      min_delta: >= 0, by how much a value must be better to count.
      cooldown: measurements after a reduction that do not count, >= 0.
      min_lr: the lowest rate.
      learning_rate: the optimizer's rate, which `min_lr` is compared with.

    Returns:
      A transformation; see `control.plateau_learning_rate`.

    Raises:
      ArgumentError: for a number out of its range or an unknown mode.

    Reference: `keras.callbacks.ReduceLROnPlateau`.

    Differs from: Keras, whose callback finds the optimizer and its rate by itself.
    """
    return plateau_learning_rate(
        optimizer,
        monitor=monitor,
        factor=factor,
        patience=patience,
        mode=resolved(mode, monitor),
        threshold=min_delta,
        cooldown=cooldown,
        floor=min_lr,
        learning_rate=learning_rate,
        rule="keras",
    )
