"""Keras' SGD."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.keras.optimizer import Clip, Decoupled, Frequency, keras_optimizer
from jaxopt_lab.compat.rates import is_off
from jaxopt_lab.core.mask import Mask
from jaxopt_lab.core.ranges import Decay, LearningRate, NonNegative, Probability, checked


@checked
def SGD(
    learning_rate: LearningRate = 0.01,
    momentum: Decay = 0.0,
    nesterov: bool = False,
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
    """Keras' SGD, with its momentum and Nesterov's.

        m <- mu m - eta g,    theta <- theta + m                     momentum
        m <- mu m - eta g,    theta <- theta + mu m - eta g          nesterov
        theta <- theta - eta g                                       momentum 0

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      momentum: 0 <= mu < 1.
      nesterov: static.
      weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
        ema_overwrite_frequency, decay, exclude_from_weight_decay: as in every optimizer of
        `compat.keras`.

    Returns:
      A transformation; state `KerasState(count, inner, average)`.

    Raises:
      ArgumentError: for a number out of its range, or more than one clip.

    Reference: `keras.optimizers.SGD`; the step is `optimizers.sgd`, `momentum` or `nesterov`.
    """

    def step(eta):
        if is_off(momentum):
            return optimizers.sgd(eta)
        method = optimizers.nesterov if nesterov else optimizers.momentum
        return method(eta, momentum)

    return keras_optimizer(
        "SGD",
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
