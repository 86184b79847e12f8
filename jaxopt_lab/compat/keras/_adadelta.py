"""Keras' Adadelta."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.keras.optimizer import Clip, Decoupled, Frequency, keras_optimizer
from jaxopt_lab.core.mask import Mask
from jaxopt_lab.core.ranges import (
    LearningRate,
    NonNegative,
    OpenDecay,
    Positive,
    Probability,
    checked,
)


@checked
def Adadelta(
    learning_rate: LearningRate = 0.001,
    rho: OpenDecay = 0.95,
    epsilon: Positive = 1e-7,
    weight_decay: Decoupled = None,
    clipnorm: Clip = None,
    clipvalue: Clip = None,
    global_clipnorm: Clip = None,
    use_ema: bool = False,
    ema_momentum: Probability = 0.99,
    ema_overwrite_frequency: Frequency = None,
    *,
    decay: NonNegative = 0.0,
    exclude_from_weight_decay: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Keras' Adadelta.

        E <- rho E + (1 - rho) g^2,    d = g sqrt(X + eps) / sqrt(E + eps)
        X <- rho X + (1 - rho) d^2,    theta <- theta - eta d

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
        Keras' 0.001 is a thousandth of the paper's.
      rho: 0 < rho < 1, decay of the averages.
      epsilon: > 0, under both roots.
      weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
        ema_overwrite_frequency, decay, exclude_from_weight_decay: as in every optimizer of
        `compat.keras`.

    Returns:
      A transformation; state `KerasState(count, inner, average)`.

    Raises:
      ArgumentError: for a number out of its range, or more than one clip.

    Reference: `keras.optimizers.Adadelta`; the step is `optimizers.adadelta`.
    """

    def step(eta):
        return optimizers.adadelta(eta, rho, epsilon)

    return keras_optimizer(
        "Adadelta",
        step,
        learning_rate,
        weight_decay=weight_decay,
        clipnorm=clipnorm,
        clipvalue=clipvalue,
        global_clipnorm=global_clipnorm,
        use_ema=use_ema,
        ema_momentum=ema_momentum,
        ema_overwrite_frequency=ema_overwrite_frequency,
        decay=decay,
        exclude_from_weight_decay=exclude_from_weight_decay,
    )
