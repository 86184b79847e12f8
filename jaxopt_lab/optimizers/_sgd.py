"""Stochastic gradient descent."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.ranges import LearningRate, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen


class SGDState(NamedTuple):
    """Steps taken."""

    count: jax.Array


@checked
def sgd(learning_rate: LearningRate) -> optax.GradientTransformationExtraArgs:
    """Stochastic gradient descent.

    The baseline, and with a good schedule often the best for convolutional networks.

        theta <- theta - eta g

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.

    Returns:
      A transformation; state `SGDState(count)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Robbins and Monro, 1951, https://doi.org/10.1214/aoms/1177729586
    """

    def init(params):
        del params
        return SGDState(jnp.zeros([], jnp.int32))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        eta = value_at(learning_rate, state.count, learning_rate_scale)
        step = jax.tree.map(lambda g: -eta * g, widen(grads))
        return cast_like(step, grads), SGDState(optax.safe_increment(state.count))

    return transformation(init, update)
