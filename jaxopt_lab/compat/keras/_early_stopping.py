"""Keras' EarlyStopping."""

from typing import Annotated

import optax

from jaxopt_lab.compat.keras.mode import KerasMode, resolved
from jaxopt_lab.control import early_stopping
from jaxopt_lab.core.ranges import Range, checked


@checked
def EarlyStopping(
    optimizer: optax.GradientTransformation,
    monitor: str = "val_loss",
    min_delta: float = 0.0,
    patience: Annotated[int, Range(0)] = 0,
    mode: KerasMode = "auto",
    baseline: float | None = None,
    restore_best_weights: bool = False,
    start_from_epoch: Annotated[int, Range(0)] = 0,
) -> optax.GradientTransformationExtraArgs:
    """Keras' EarlyStopping around an optimizer or a whole chain.

    Args:
      optimizer: what is stopped.
      monitor: name of the metric, one of those in `metrics=` of `update`.
      min_delta: by how much a value must be better to count; its sign is ignored.
      patience: measurements without improvement, >= 0.
      mode: static; "auto" is "max" where the monitor's name holds "acc", and "min" elsewhere.
      baseline: a value that must be beaten as well before an improvement ends the waiting.
      restore_best_weights: static; keep the best parameters, for `control.best_params`.
      start_from_epoch: measurements that are not looked at, at the start.

    Returns:
      A transformation; see `control.early_stopping`.

    Raises:
      ArgumentError: for a number out of its range or an unknown mode.

    Reference: `keras.callbacks.EarlyStopping`.

    Differs from: `control.early_stopping` has the other differences. `verbose` is not here.
    """
    return early_stopping(
        optimizer,
        monitor=monitor,
        min_delta=abs(min_delta),
        patience=patience,
        mode=resolved(mode, monitor),
        baseline=baseline,
        restore_best=restore_best_weights,
        start_from=start_from_epoch,
    )
