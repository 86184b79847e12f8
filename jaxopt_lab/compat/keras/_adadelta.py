"""Keras' Adadelta."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.keras.optimizer import keras_optimizer
from jaxopt_lab.core.ranges import (
    LearningRate,
    OpenDecay,
    Positive,
    checked,
)


@checked
@keras_optimizer
def Adadelta(
    learning_rate: LearningRate = 0.001,
    rho: OpenDecay = 0.95,
    epsilon: Positive = 1e-7,
) -> optax.GradientTransformationExtraArgs:
    """Keras' Adadelta.

        E <- rho E + (1 - rho) g^2,    d = g sqrt(X + eps) / sqrt(E + eps)
        X <- rho X + (1 - rho) d^2,    theta <- theta - eta d

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
        Keras' 0.001 is a thousandth of the paper's.
      rho: 0 < rho < 1, decay of the averages.
      epsilon: > 0, under both roots.

    Reference: `keras.optimizers.Adadelta`; the step is `optimizers.adadelta`.
    """
    return optimizers.adadelta(learning_rate, rho, epsilon)
