"""From a method's direction to a transformation: what all of this family share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import require_number
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import refuse_complex, transformation
from jaxopt_lab.core.tree import all_finite, cast_like, widen
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.second_order.curvature import read_curvature

Direction = Callable[..., tuple[Params, Any]]


def by_curvature(
    name: str, init: Callable[[Params], Any], direction: Direction
) -> optax.GradientTransformationExtraArgs:
    """A transformation of the gradient by the curvature of the batch.

    Works in float32 or wider on the leaves that `update` is given. A direction that is not finite
    is replaced by the gradient, or by zeros where that is not finite either; a new state that is
    not finite by the old one.

    Args:
      name: of the method, for messages.
      init: `params -> state`, of real parameters: complex ones are refused.
      direction: `(grads, state, curvature, extra) -> (direction, state)`, the direction to be
        subtracted from the parameters, `extra` the dict of all other extras.
    """

    def init_real(params):
        refuse_complex(name, params)
        return init(params)

    def update(grads, state, params=None, *, curvature=None, **extra):
        del params
        curvature = read_curvature(name, curvature, grads)
        if not jax.tree.leaves(grads):
            return grads, state
        g = widen(grads)
        step, new = direction(g, state, curvature, extra)
        kept = all_finite(new)
        new = jax.tree.map(lambda a, b: jnp.where(kept, a, b).astype(b.dtype), new, state)
        return cast_like(finite_direction(step, g), grads), new

    return transformation(init_real, full_precision(update))


def finite_direction(direction: Params, grads: Params) -> Params:
    """The direction where all of it is finite, else the gradient, else zeros."""
    solved, known = all_finite(direction), all_finite(grads)
    return jax.tree.map(lambda d, g: jnp.where(solved, d, jnp.where(known, g, 0)), direction, grads)


class WithLearningRateState(NamedTuple):
    """Steps taken, and the state of what gives the direction."""

    count: jax.Array
    inner: Any


def with_learning_rate(
    inner: optax.GradientTransformationExtraArgs, learning_rate: ScalarOrSchedule
) -> optax.GradientTransformationExtraArgs:
    """An optimizer: minus the rate times what `inner` makes of the gradient, rounded once."""

    def init(params):
        return WithLearningRateState(jnp.zeros([], jnp.int32), inner.init(params))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        eta = value_at(learning_rate, state.count, learning_rate_scale)
        direction, new = inner.update(
            widen(grads), state.inner, params, learning_rate_scale=learning_rate_scale, **extra
        )
        step = jax.tree.map(lambda d: -eta * d, direction)
        count = jnp.asarray(optax.safe_increment(state.count))
        return cast_like(step, grads), WithLearningRateState(count, new)

    return transformation(init, update)


def need_small(method: str, params: Params, limit: int, remedy: str) -> None:
    """Hold a method that forms a matrix to small problems.

    Raises:
      InputError: for more parameters than `limit`.
    """
    require_number(method, max_params=limit)
    size = sum(x.size for x in jax.tree.leaves(params))
    if size > limit:
        raise InputError(
            f"{method}: {size:,} parameters need a matrix of {size:,} x {size:,}, more than "
            f"max_params={limit:,}: {remedy}, or raise max_params"
        )
