"""Adam: adaptive moment estimation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import bias_correction, moving_average
from jaxopt_lab.core.norm import root, squared
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator, zeros_real
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.descent import factor_at


class AdamState(NamedTuple):
    """Steps taken and the moving averages of g and |g|^2, float32 or wider."""

    count: jax.Array
    mean: Params
    square: Params


@checked
@renamed(beta1="b1", beta2="b2")
def adam(
    learning_rate: LearningRate, b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8
) -> optax.GradientTransformationExtraArgs:
    """Adam: momentum, scaled for each parameter by the size of its recent gradients.

    The default to try first; little tuning, at the price of two accumulators.

        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) |g|^2
        m^ = m / (1 - b1^t),    v^ = v / (1 - b2^t)
        theta <- theta - eta m^ / (sqrt(v^) + eps)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the first moment.
      b2: 0 <= b2 < 1, decay of the second moment.
      eps: > 0, added to the root.

    Returns:
      A transformation; state `AdamState(count, mean, square)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980, Algorithm 1.

    Differs from: Keras adds its epsilon (1e-7) before the bias correction, which at t = 1 acts as
    one of 3e-6 (`compat.keras.Adam`); PyTorch and optax are as here.
    """
    return _adam(learning_rate, b1, b2, eps)


@checked
def scale_by_adam(
    b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8
) -> optax.GradientTransformationExtraArgs:
    """The direction of `adam` and `adamw`: g becomes m^ / (sqrt(v^) + eps).

    Args:
      b1, b2, eps: as of `adam`.

    Returns:
      A transformation; state `AdamState(count, mean, square)`.

    Reference: `optax.scale_by_adam`.
    """
    return _adam(None, b1, b2, eps)


def _adam(
    learning_rate: ScalarOrSchedule | None, b1: float, b2: float, eps: float
) -> optax.GradientTransformationExtraArgs:
    def init(params):
        start = jnp.zeros([], jnp.int32)
        return AdamState(start, mean=zeros_accumulator(params), square=zeros_real(params))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        factor = factor_at(learning_rate, state.count, learning_rate_scale)
        count = optax.safe_increment(state.count)
        c1, c2 = bias_correction(b1, count), bias_correction(b2, count)
        g = widen(grads)
        m = jax.tree.map(lambda m, g: moving_average(b1, m, g), state.mean, g)
        v = jax.tree.map(lambda v, g: moving_average(b2, v, squared(g)), state.square, g)
        step = jax.tree.map(lambda m, v: factor * (m / c1) / (root(v / c2) + eps), m, v)
        return cast_like(step, grads), AdamState(count, m, v)

    return transformation(init, update)
