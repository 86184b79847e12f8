"""Keras' Adagrad."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.keras.optimizer import keras_optimizer
from jaxopt_lab.core.ranges import LearningRate, NonNegative, Positive, checked


@checked
@keras_optimizer
def Adagrad(
    learning_rate: LearningRate = 0.001,
    initial_accumulator_value: NonNegative = 0.1,
    epsilon: Positive = 1e-7,
) -> optax.GradientTransformationExtraArgs:
    """Keras' Adagrad.

        G <- G + g^2,    theta <- theta - eta g / sqrt(G + eps)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      initial_accumulator_value: G_0 >= 0.
      epsilon: > 0, under the root.

    Reference: `keras.optimizers.Adagrad`; the step is `optimizers.adagrad`.
    """
    return optimizers.adagrad(learning_rate, epsilon, initial_accumulator_value)
