"""Keras' RMSprop."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.keras.optimizer import Clip, Decoupled, Frequency, keras_optimizer
from jaxopt_lab.compat.rates import is_off
from jaxopt_lab.core.mask import Mask
from jaxopt_lab.core.ranges import Decay, LearningRate, NonNegative, Positive, Probability, checked


@checked
def RMSprop(
    learning_rate: LearningRate = 0.001,
    rho: Decay = 0.9,
    momentum: Decay = 0.0,
    epsilon: Positive = 1e-7,
    centered: bool = False,
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
    """Keras' RMSprop.

        E <- rho E + (1 - rho) g^2
        theta <- theta - eta g / sqrt(E + eps)

        centered:  M <- rho M + (1 - rho) g,   E - M^2 in the place of E
        momentum:  w <- mu w + eta g / sqrt(E + eps),   theta <- theta - w

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      rho: 0 <= rho < 1, decay of the averages.
      momentum: 0 <= mu < 1.
      epsilon: > 0, under the root.
      centered: static.
      weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
        ema_overwrite_frequency, decay, exclude_from_weight_decay: as in every optimizer of
        `compat.keras`.

    Returns:
      A transformation; state `KerasState(count, inner, average)`.

    Raises:
      ArgumentError: for a number out of its range, or more than one clip.

    Reference: `keras.optimizers.RMSprop`; the step is `optimizers.rmsprop`.
    """

    def step(eta):
        beta = None if is_off(momentum) else momentum
        return optimizers.rmsprop(eta, rho, epsilon, beta, centered=centered)

    return keras_optimizer(
        "RMSprop",
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
