"""Keras' Nadam."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.keras.optimizer import keras_optimizer
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked


@checked
@keras_optimizer
def Nadam(
    learning_rate: LearningRate = 0.001,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.999,
    epsilon: Positive = 1e-7,
) -> optax.GradientTransformationExtraArgs:
    """Keras' Nadam.

        the equations of `optimizers.nadam`, with mu_t = beta_1 (1 - 1/2 0.96^t): psi is 1

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      beta_1: 0 <= beta_1 < 1, decay of the first moment and limit of mu.
      beta_2: 0 <= beta_2 < 1, decay of the second moment.
      epsilon: > 0, added to the root.

    Reference: `keras.optimizers.Nadam`; the step is `optimizers.nadam`.
    """
    return optimizers.nadam(learning_rate, beta_1, beta_2, epsilon, psi=1.0)
