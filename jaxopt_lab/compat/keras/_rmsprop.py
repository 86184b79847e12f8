"""Keras' RMSprop."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.keras.optimizer import keras_optimizer
from jaxopt_lab.compat.rates import is_off
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked


@checked
@keras_optimizer
def RMSprop(
    learning_rate: LearningRate = 0.001,
    rho: Decay = 0.9,
    momentum: Decay = 0.0,
    epsilon: Positive = 1e-7,
    centered: bool = False,
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

    Reference: `keras.optimizers.RMSprop`; the step is `optimizers.rmsprop`.
    """
    beta = None if is_off(momentum) else momentum
    return optimizers.rmsprop(learning_rate, rho, epsilon, beta, centered=centered)
