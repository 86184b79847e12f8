"""Keras' Adam."""

import optax

from jaxopt_lab.compat.keras.epsilon_hat import adam_with_epsilon_hat
from jaxopt_lab.compat.keras.optimizer import keras_optimizer
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked


@checked
@keras_optimizer
def Adam(
    learning_rate: LearningRate = 0.001,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.999,
    epsilon: Positive = 1e-7,
    amsgrad: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Keras' Adam.

        m <- beta_1 m + (1 - beta_1) g,    v <- beta_2 v + (1 - beta_2) g^2
        theta <- theta - eta sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + eps)

        amsgrad:  the largest v so far in the place of v

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      beta_1: 0 <= beta_1 < 1, decay of the first moment.
      beta_2: 0 <= beta_2 < 1, decay of the second moment.
      epsilon: > 0, added to the root of the uncorrected second moment.
      amsgrad: static.

    Reference: `keras.optimizers.Adam`; amsgrad: Reddi, Kale and Kumar, 2018, https://arxiv.org/abs/1904.09237

    Differs from: `optimizers.adam`: Keras' epsilon stands before the bias correction, the paper's
    epsilon hat. At t = 1 its 1e-7 acts as 3e-6 would there.
    """
    return adam_with_epsilon_hat(learning_rate, beta_1, beta_2, epsilon, amsgrad=amsgrad)
