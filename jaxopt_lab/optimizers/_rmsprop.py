"""RMSprop."""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import moving_average
from jaxopt_lab.core.norm import squared
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, Range, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator, zeros_real
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.descent import factor_at


class RMSpropState(NamedTuple):
    """Steps taken and the moving average of g^2; that of g where centered; the velocity, if any."""

    count: jax.Array
    square: Params
    mean: Params | None
    velocity: Params | None


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

        centered:  M <- rho M + (1 - rho) g,   E - M^2 in the place of E
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
    outside the momentum (`compat.torch.RMSprop`). Keras and optax are as here.
    """
    return _rmsprop(learning_rate, decay, eps, momentum, centered)


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
    return _rmsprop(None, decay, eps, None, centered)


def _rmsprop(
    learning_rate: ScalarOrSchedule | None,
    decay: float,
    eps: float,
    momentum: ScalarOrSchedule | None,
    centered: bool,
) -> optax.GradientTransformationExtraArgs:
    def init(params):
        zeros = zeros_accumulator
        return RMSpropState(
            count=jnp.zeros([], jnp.int32),
            square=zeros_real(params),
            mean=zeros(params) if centered else None,
            velocity=None if momentum is None else zeros(params),
        )

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        factor = factor_at(learning_rate, state.count, learning_rate_scale)
        g = widen(grads)
        square = jax.tree.map(lambda e, g: moving_average(decay, e, squared(g)), state.square, g)
        spread, mean, velocity = square, None, None
        if centered:
            mean = jax.tree.map(lambda m, g: moving_average(decay, m, g), state.mean, g)
            # Only rounding makes it negative.
            spread = jax.tree.map(lambda e, m: jnp.maximum(e - squared(m), 0), square, mean)
        step = jax.tree.map(lambda e, g: factor * g / jnp.sqrt(e + eps), spread, g)
        if momentum is not None:
            beta = value_at(momentum, state.count)
            # The step is minus what the equation adds to w.
            velocity = jax.tree.map(lambda w, s: beta * w - s, state.velocity, step)
            step = jax.tree.map(lambda w: -w, velocity)
        count = optax.safe_increment(state.count)
        return cast_like(step, grads), RMSpropState(count, square, mean, velocity)

    return transformation(init, update)
