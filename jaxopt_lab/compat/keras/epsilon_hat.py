"""Adam with its epsilon before the bias correction."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import bias_correction, moving_average
from jaxopt_lab.core.norm import root
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator
from jaxopt_lab.core.types import Params, ScalarOrSchedule


class EpsilonHatState(NamedTuple):
    """Steps taken, the moving averages of g and g^2, and the largest of the latter (or None)."""

    count: jax.Array
    mean: Params
    square: Params
    largest: Params | None


def adam_with_epsilon_hat(
    learning_rate: ScalarOrSchedule, b1: float, b2: float, eps: float, *, amsgrad: bool
) -> optax.GradientTransformationExtraArgs:
    """Keras' form of Adam, without what stands around it.

        m <- b1 m + (1 - b1) g,    v <- b2 v + (1 - b2) g^2
        theta <- theta - eta sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)

    With `amsgrad` the largest v so far in the place of v.
    """

    def init(params):
        zeros = zeros_accumulator
        largest = zeros(params) if amsgrad else None
        return EpsilonHatState(jnp.zeros([], jnp.int32), zeros(params), zeros(params), largest)

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        eta = value_at(learning_rate, state.count, learning_rate_scale)
        count = optax.safe_increment(state.count)
        rate = eta * jnp.sqrt(bias_correction(b2, count)) / bias_correction(b1, count)
        g = widen(grads)
        m = jax.tree.map(lambda m, g: moving_average(b1, m, g), state.mean, g)
        v = jax.tree.map(lambda v, g: moving_average(b2, v, g * g), state.square, g)
        largest = jax.tree.map(jnp.maximum, state.largest, v) if amsgrad else None
        below = largest if amsgrad else v
        step = jax.tree.map(lambda m, v: -rate * m / (root(v) + eps), m, below)
        return cast_like(step, grads), EpsilonHatState(count, m, v, largest)

    return transformation(init, update)
