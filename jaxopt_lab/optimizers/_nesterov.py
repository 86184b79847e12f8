"""Nesterov's accelerated gradient."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.ranges import LearningRate, Momentum, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.transformation import joined, trained_part, transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.descent import factor_at


class NesterovState(NamedTuple):
    """Steps taken, beta of the next step and m: the parameters look ahead by beta m."""

    count: jax.Array
    beta: jax.Array
    velocity: Params


@checked
@renamed(beta="momentum")
def nesterov(
    learning_rate: LearningRate, momentum: Momentum = 0.9
) -> optax.GradientTransformationExtraArgs:
    """Nesterov's accelerated gradient: momentum, with the gradient taken where it leads.

    As `momentum`, less prone to overshoot.

        m <- beta m - eta g(theta + beta m)
        theta <- theta + m

    The parameters that training sees are the lookahead point p = theta + beta m, where the gradient
    is taken; with beta' of the next step that is

        m <- beta m - eta g(p),    p <- p - eta g(p) + beta' m

    and `nesterov_iterate(state, params)` is theta.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      momentum: beta, 0 <= beta < 1, the share of the velocity kept; a number, traced array or
        schedule.

    Returns:
      A transformation; state `NesterovState(count, beta, velocity)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Nesterov, 1983; in this form Sutskever et al., 2013,
    https://proceedings.mlr.press/v28/sutskever13.html

    Differs from: the course's pseudocode takes the gradient at theta + m; its table is as here.
    Keras is as here; PyTorch and optax apply eta to the velocity, which is the same while eta is
    constant (`compat.torch.SGD`).
    """
    return _nesterov(learning_rate, momentum)


@checked
def scale_by_nesterov(momentum: Momentum = 0.9) -> optax.GradientTransformationExtraArgs:
    """The direction of `nesterov` with the rate outside: g becomes g + beta' m, m <- beta m + g.

    `nesterov` has eta inside its velocity; the two agree while eta is constant. As the velocity is
    here without eta, `nesterov_iterate` does not apply.

    Args:
      momentum: as of `nesterov`.

    Returns:
      A transformation; state `NesterovState(count, beta, velocity)`.

    Reference: `optax.trace` with `nesterov=True`.
    """
    return _nesterov(None, momentum)


def _nesterov(
    learning_rate: ScalarOrSchedule | None, momentum: ScalarOrSchedule
) -> optax.GradientTransformationExtraArgs:
    def init(params):
        start = jnp.zeros([], jnp.int32)
        # A copy, because the number may be an array that the caller keeps.
        first = jnp.array(value_at(momentum, start), copy=True)
        return NesterovState(start, first, zeros_accumulator(params))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        factor = factor_at(learning_rate, state.count, learning_rate_scale)
        count = optax.safe_increment(state.count)
        next_beta = value_at(momentum, count)
        g = widen(grads)
        velocity = jax.tree.map(lambda m, g: state.beta * m + factor * g, state.velocity, g)
        step = jax.tree.map(lambda m, g: next_beta * m + factor * g, velocity, g)
        return cast_like(step, grads), NesterovState(count, next_beta, velocity)

    return transformation(init, update)


def nesterov_iterate(state: NesterovState, params: Params) -> Params:
    """The iterate theta itself: the parameters without their lookahead.

    To evaluate or keep at the end; the two differ by one momentum step.

    Args:
      state: of `nesterov`, after the update that gave `params`.
      params: the lookahead parameters that training holds.

    Returns:
      theta = params - beta m, in the dtypes of `params`.
    """
    part = widen(trained_part(params, params))
    return joined(jax.tree.map(lambda p, m: p - state.beta * m, part, state.velocity), params)
