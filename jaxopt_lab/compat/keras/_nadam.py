"""Keras' Nadam."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.keras.optimizer import Clip, Decoupled, Frequency, keras_optimizer
from jaxopt_lab.core.mask import Mask
from jaxopt_lab.core.ranges import Decay, LearningRate, NonNegative, Positive, Probability, checked


@checked
def Nadam(
    learning_rate: LearningRate = 0.001,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.999,
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
    """Keras' Nadam.

        the equations of `optimizers.nadam`, with mu_t = beta_1 (1 - 1/2 0.96^t): psi is 1

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      beta_1: 0 <= beta_1 < 1, decay of the first moment and limit of mu.
      beta_2: 0 <= beta_2 < 1, decay of the second moment.
      epsilon: > 0, added to the root.
      weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
        ema_overwrite_frequency, decay, exclude_from_weight_decay: as in every optimizer of
        `compat.keras`.

    Returns:
      A transformation; state `KerasState(count, inner, average)`.

    Raises:
      ArgumentError: for a number out of its range, or more than one clip.

    Reference: `keras.optimizers.Nadam`; the step is `optimizers.nadam`.
    """

    def step(eta):
        return optimizers.nadam(eta, beta_1, beta_2, epsilon, psi=1.0)

    return keras_optimizer(
        "Nadam",
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
