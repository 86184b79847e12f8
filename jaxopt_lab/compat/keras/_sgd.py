"""Keras' SGD."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.keras.optimizer import keras_optimizer
from jaxopt_lab.compat.rates import is_off
from jaxopt_lab.core.ranges import Decay, LearningRate, checked


@checked
@keras_optimizer
def SGD(
    learning_rate: LearningRate = 0.01,
    momentum: Decay = 0.0,
    nesterov: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Keras' SGD, with its momentum and Nesterov's.

        m <- mu m - eta g,    theta <- theta + m                     momentum
        m <- mu m - eta g,    theta <- theta + mu m - eta g          nesterov
        theta <- theta - eta g                                       momentum 0

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      momentum: 0 <= mu < 1.
      nesterov: static.

    Reference: `keras.optimizers.SGD`; the step is `optimizers.sgd`, `momentum` or `nesterov`.
    """
    if is_off(momentum):
        return optimizers.sgd(learning_rate)
    method = optimizers.nesterov if nesterov else optimizers.momentum
    return method(learning_rate, momentum)
