"""RMSprop."""

from typing import Annotated

import optax

from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, Range, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.types import ScalarOrSchedule
from jaxopt_lab.optimizers.rms import rms_step


@checked
@renamed(rho="decay")
def rmsprop(
    learning_rate: LearningRate,
    decay: Decay = 0.9,
    eps: Positive = 1e-8,
    momentum: Annotated[ScalarOrSchedule | None, Range(0, 1, high_open=True)] = None,
    *,
    centered: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """RMSprop: gradients scaled by the root of the moving average of their squares.

    For recurrent networks and reinforcement learning, where gradients change scale.

        E <- rho E + (1 - rho) g^2
        theta <- theta - eta g / sqrt(E + eps)

        centered:  M <- rho M + (1 - rho) g,   E - M^2 in the place of E, without their difference
        momentum:  w <- beta w + eta g / sqrt(E + eps),   theta <- theta - w

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      decay: rho, 0 <= rho < 1, of the averages.
      eps: > 0, under the root.
      momentum: 0 <= beta < 1, a number, a traced array or a schedule; None for none.
      centered: static; whether the variance scales, not the raw second moment.

    Returns:
      A transformation; state `RMSpropState(count, square, mean, velocity)`, the last two None
      where they are not used.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Tieleman and Hinton, 2012, lecture 6.5 of Neural Networks for Machine Learning;
    centered: Graves, 2013, https://arxiv.org/abs/1308.0850

    Differs from: the course's table adds epsilon twice; PyTorch has it outside the root and eta
    outside the momentum (`compat.torch.RMSprop`). Keras and optax are as here, but that
    they subtract M^2 from E, which leaves rounding alone where the mean is large beside the spread.
    """
    spread = "variance" if centered else "square"
    return rms_step(learning_rate, decay, eps, momentum, spread)


@checked
def scale_by_rmsprop(
    decay: Decay = 0.9, eps: Positive = 1e-8, *, centered: bool = False
) -> optax.GradientTransformationExtraArgs:
    """The direction of `rmsprop`: g becomes g / sqrt(E + eps).

    Args:
      decay, eps, centered: as of `rmsprop`; for its momentum let `scale_by_momentum` follow.

    Returns:
      A transformation; state `RMSpropState(count, square, mean, None)`.

    Reference: `optax.scale_by_rms`; centered, `optax.scale_by_stddev`.
    """
    return rms_step(None, decay, eps, None, "variance" if centered else "square")
