"""Keras' AdamW."""

import optax

from jaxopt_lab.compat.keras.epsilon_hat import adam_with_epsilon_hat
from jaxopt_lab.compat.keras.optimizer import keras_optimizer
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
@keras_optimizer
def AdamW(
    learning_rate: LearningRate = 0.001,
    weight_decay: WeightDecay = 0.004,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.999,
    epsilon: Positive = 1e-7,
    amsgrad: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Keras' AdamW: its Adam with decoupled weight decay, of every parameter.

        theta <- theta - eta lambda theta, then

        m <- beta_1 m + (1 - beta_1) g,    v <- beta_2 v + (1 - beta_2) g^2
        theta <- theta - eta sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + eps)

        amsgrad:  the largest v so far in the place of v

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      weight_decay: lambda >= 0, a number, a traced array or a schedule.
      beta_1: 0 <= beta_1 < 1, decay of the first moment.
      beta_2: 0 <= beta_2 < 1, decay of the second moment.
      epsilon: > 0, added to the root of the uncorrected second moment.
      amsgrad: static.

    Reference: `keras.optimizers.AdamW`; Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101

    Differs from: `optimizers.adamw`: Keras' epsilon stands before the bias correction, the paper's
    epsilon hat. At t = 1 its 1e-7 acts as 3e-6 would there.
    """
    del weight_decay  # applied around the step
    return adam_with_epsilon_hat(learning_rate, beta_1, beta_2, epsilon, amsgrad=amsgrad)
