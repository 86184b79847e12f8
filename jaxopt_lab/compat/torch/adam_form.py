"""PyTorch's form of Adam, AdamW and AMSGrad."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.compat.rates import is_off
from jaxopt_lab.core.averages import exact_bias_correction, moving_average
from jaxopt_lab.core.norm import root
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.weight_decay import need_params


class AdamState(NamedTuple):
    """Steps taken, the moving averages of g and g^2, and the largest of the latter (or None)."""

    count: jax.Array
    mean: Params
    square: Params
    largest: Params | None


def torch_adam(
    lr: ScalarOrSchedule,
    b1: float,
    b2: float,
    eps: float,
    *,
    amsgrad: bool,
    decoupled: ScalarOrSchedule = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """`optimizers.adam` with PyTorch's precision, its AMSGrad and its decoupled decay.

    theta <- theta (1 - eta lambda)                                decoupled
    m <- b1 m + (1 - b1) g,    v <- b2 v + (1 - b2) g^2
    s <- max(s, v)                                                 s = v without amsgrad
    theta <- theta - eta m / (1 - b1^t) / (sqrt(s / (1 - b2^t)) + eps)
    """

    def init(params):
        zeros = zeros_accumulator
        largest = zeros(params) if amsgrad else None
        return AdamState(jnp.zeros([], jnp.int32), zeros(params), zeros(params), largest)

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del extra
        eta = value_at(lr, state.count, learning_rate_scale)
        count = optax.safe_increment(state.count)
        c1, c2 = exact_bias_correction(b1, count), exact_bias_correction(b2, count)
        g = widen(grads)
        m = jax.tree.map(lambda m, g: moving_average(b1, m, g), state.mean, g)
        v = jax.tree.map(lambda v, g: moving_average(b2, v, g * g), state.square, g)
        largest = jax.tree.map(jnp.maximum, state.largest, v) if amsgrad else None
        s = largest if amsgrad else v
        step = jax.tree.map(lambda m, s: -eta * (m / c1) / (root(s / c2) + eps), m, s)
        step = shrink(step, params, eta, decoupled, state.count)
        return cast_like(step, grads), AdamState(count, m, v, largest)

    return transformation(init, update)


def shrink(
    step: Params,
    params: Params | None,
    eta: jax.Array,
    weight_decay: ScalarOrSchedule,
    count: jax.Array,
) -> Params:
    """A step after `theta <- theta (1 - eta lambda)`, of every parameter."""
    if is_off(weight_decay):
        return step
    need_params("decoupled weight decay", params)
    kept = 1 - eta * value_at(weight_decay, count)
    return jax.tree.map(lambda u, p: u + (p * kept - p), step, widen(params))
