"""Stochastic gradient descent with momentum (heavy ball)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.ranges import LearningRate, Momentum, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.descent import factor_at


class MomentumState(NamedTuple):
    """Steps taken and the velocity m, float32 or wider."""

    count: jax.Array
    velocity: Params


@checked
@renamed(beta="momentum")
def momentum(
    learning_rate: LearningRate, momentum: Momentum = 0.9, *, rate_inside: bool = True
) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent with momentum (heavy ball).

    Faster than `sgd` along valleys, by up to 1 / (1 - beta).

        m <- beta m + eta g,    theta <- theta - m         rate_inside=True
        m <- beta m + g,        theta <- theta - eta m     rate_inside=False

    The two agree while eta is constant. When it changes, the first keeps the old rate in the
    velocity, the second applies the new one to all of it.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      momentum: beta, 0 <= beta < 1, the share of the velocity kept; a number, traced array or
        schedule.
      rate_inside: static; whether eta multiplies the gradient (True) or the velocity (False).

    Returns:
      A transformation; state `MomentumState(count, velocity)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Polyak, 1964, https://doi.org/10.1016/0041-5553(64)90137-5

    Differs from: `optax.sgd(momentum=)` and PyTorch's SGD are `rate_inside=False`; Keras' SGD is
    the default here.
    """
    return _momentum(learning_rate, momentum, rate_inside)


@checked
def scale_by_momentum(momentum: Momentum = 0.9) -> optax.GradientTransformationExtraArgs:
    """The velocity of `momentum` with `rate_inside=False`: g becomes m <- beta m + g.

    Args:
      momentum: as of `momentum`.

    Returns:
      A transformation; state `MomentumState(count, velocity)`.

    Reference: `optax.trace`.
    """
    return _momentum(None, momentum, False)


def _momentum(
    learning_rate: ScalarOrSchedule | None, momentum: ScalarOrSchedule, rate_inside: bool
) -> optax.GradientTransformationExtraArgs:
    def init(params):
        return MomentumState(jnp.zeros([], jnp.int32), zeros_accumulator(params))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        factor = factor_at(learning_rate, state.count, learning_rate_scale)
        decay = value_at(momentum, state.count)
        inside, outside = (-factor, -1.0) if rate_inside else (1.0, factor)
        velocity = jax.tree.map(lambda m, g: decay * m + inside * g, state.velocity, widen(grads))
        step = jax.tree.map(lambda m: outside * m, velocity)
        return cast_like(step, grads), MomentumState(optax.safe_increment(state.count), velocity)

    return transformation(init, update)
