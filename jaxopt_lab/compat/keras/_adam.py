"""Keras' Adam."""

import optax

from jaxopt_lab.compat.keras.epsilon_hat import adam_with_epsilon_hat
from jaxopt_lab.compat.keras.optimizer import Clip, Decoupled, Frequency, keras_optimizer
from jaxopt_lab.core.mask import Mask
from jaxopt_lab.core.ranges import Decay, LearningRate, NonNegative, Positive, Probability, checked


@checked
def Adam(
    learning_rate: LearningRate = 0.001,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.999,
    epsilon: Positive = 1e-7,
    amsgrad: bool = False,
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
      weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
        ema_overwrite_frequency, decay, exclude_from_weight_decay: as in every optimizer of
        `compat.keras`.

    Returns:
      A transformation; state `KerasState(count, inner, average)`.

    Raises:
      ArgumentError: for a number out of its range, or more than one clip.

    Reference: `keras.optimizers.Adam`; amsgrad: Reddi, Kale and Kumar, 2018, https://arxiv.org/abs/1904.09237

    Differs from: `optimizers.adam`: Keras' epsilon stands before the bias correction, the paper's
    epsilon hat. At t = 1 its 1e-7 acts as 3e-6 would there.
    """

    def step(eta):
        return adam_with_epsilon_hat(eta, beta_1, beta_2, epsilon, amsgrad=amsgrad)

    return keras_optimizer(
        "Adam",
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
