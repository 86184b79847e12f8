"""Keras' RMSprop."""

import optax

from jaxopt_lab.compat.keras.optimizer import keras_optimizer
from jaxopt_lab.compat.rates import is_off
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.optimizers.rms import rms_step


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

    Differs from: `optimizers.rmsprop`, centered, has E - M^2 without the difference that cancels
    where the mean is large beside the spread; this has Keras' own. Keras has NaN where rounding
    makes it negative, this 0.
    """
    beta = None if is_off(momentum) else momentum
    spread = "difference" if centered else "square"
    return rms_step(learning_rate, rho, epsilon, beta, spread)
