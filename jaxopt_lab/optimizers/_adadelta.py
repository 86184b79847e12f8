"""Adadelta."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import moving_average
from jaxopt_lab.core.norm import squared
from jaxopt_lab.core.ranges import LearningRate, OpenDecay, Positive, checked
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_real
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.descent import factor_at


class AdadeltaState(NamedTuple):
    """Steps taken and the moving averages of g^2 and of the steps' squares."""

    count: jax.Array
    square: Params
    square_step: Params


@checked
def adadelta(
    learning_rate: LearningRate = 1.0,
    rho: OpenDecay = 0.95,
    eps: Positive = 1e-6,
) -> optax.GradientTransformationExtraArgs:
    """Adadelta: steps in the parameters' own units, so that eta = 1 suits any scale.

    Where no learning rate is known. It starts slowly, from steps of about sqrt(eps).

        E <- rho E + (1 - rho) g^2
        d  = g sqrt(X + eps) / sqrt(E + eps)
        X <- rho X + (1 - rho) d^2
        theta <- theta - eta d

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      rho: 0 < rho < 1, decay of the averages.
      eps: > 0, under both roots; it sets the size of the first steps.

    Returns:
      A transformation; state `AdadeltaState(count, square, square_step)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Zeiler, 2012, https://arxiv.org/abs/1212.5701, Algorithm 1.

    Differs from: the course's sums are moving averages, as in the paper. Keras has eta 1e-3 and
    epsilon 1e-7; PyTorch and optax have rho 0.9.
    """
    return _adadelta(learning_rate, rho, eps)


@checked
def scale_by_adadelta(
    rho: OpenDecay = 0.95, eps: Positive = 1e-6
) -> optax.GradientTransformationExtraArgs:
    """The direction of `adadelta`: g becomes d.

    Args:
      rho, eps: as of `adadelta`.

    Returns:
      A transformation; state `AdadeltaState(count, square, square_step)`.

    Reference: `optax.scale_by_adadelta`.
    """
    return _adadelta(None, rho, eps)


def _adadelta(
    learning_rate: ScalarOrSchedule | None, rho: float, eps: float
) -> optax.GradientTransformationExtraArgs:
    def init(params):
        zeros = zeros_real
        return AdadeltaState(
            jnp.zeros([], jnp.int32), square=zeros(params), square_step=zeros(params)
        )

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        factor = factor_at(learning_rate, state.count, learning_rate_scale)

        def square_step(x, e, g):
            return moving_average(rho, x, squared(g) * (x + eps) / (e + eps))  # d^2, without a root

        def step(x, e, g):
            # d is computed from the new X, by the identity
            # X + rho eps = (X_old + eps) (rho + (1 - rho) g^2 / (E + eps)),
            # because reading X_old here would cost a copy: the new X is written in its place.
            return g * jnp.sqrt((x + rho * eps) / (rho * (e + eps) + (1 - rho) * squared(g)))

        g = widen(grads)
        e = jax.tree.map(lambda e, g: moving_average(rho, e, squared(g)), state.square, g)
        x = jax.tree.map(square_step, state.square_step, e, g)
        updates = jax.tree.map(lambda x, e, g: factor * step(x, e, g), x, e, g)
        count = optax.safe_increment(state.count)
        return cast_like(updates, grads), AdadeltaState(count, e, x)

    return transformation(init, update)
