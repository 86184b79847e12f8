"""Nadam: Adam with Nesterov's momentum."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import bias_correction, moving_average
from jaxopt_lab.core.norm import root, squared
from jaxopt_lab.core.ranges import Decay, LearningRate, NonNegative, Positive, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator, zeros_real
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.descent import factor_at
from jaxopt_lab.optimizers.moments import momentum_at


class NadamState(NamedTuple):
    """Steps taken, the product of all mu so far, and the moving averages of g and g^2."""

    count: jax.Array
    product: jax.Array
    mean: Params
    square: Params


@checked
@renamed(beta1="b1", beta2="b2")
def nadam(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Positive = 1e-8,
    psi: NonNegative = 4e-3,
) -> optax.GradientTransformationExtraArgs:
    """Nadam: Adam with Nesterov's momentum, the momentum itself warmed up.

    Often a little faster than `adam` at the same cost.

        mu_t = b1 (1 - 1/2 0.96^(t psi))
        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        m^ = mu_{t+1} m / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) g / (1 - mu_1 ... mu_t)
        v^ = v / (1 - b2^t)
        theta <- theta - eta m^ / (sqrt(v^) + eps)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the first moment and limit of mu.
      b2: 0 <= b2 < 1, decay of the second moment.
      eps: > 0, added to the root.
      psi: >= 0, speed of the momentum's warm-up, a step; 1/250 is Dozat's.

    Returns:
      A transformation; state `NadamState(count, product, mean, square)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Dozat, 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ

    Differs from: the paper averages m with mu_t where this has b1, and multiplies v^ by b2;
    Keras and PyTorch are as here, Keras with psi 1. optax has no mu: its Nadam is psi -> infinity.
    """
    return _nadam(learning_rate, b1, b2, eps, psi)


@checked
def scale_by_nadam(
    b1: Decay = 0.9, b2: Decay = 0.999, eps: Positive = 1e-8, psi: NonNegative = 4e-3
) -> optax.GradientTransformationExtraArgs:
    """The direction of `nadam` and `nadamw`: g becomes m^ / (sqrt(v^) + eps).

    Args:
      b1, b2, eps, psi: as of `nadam`.

    Returns:
      A transformation; state `NadamState(count, product, mean, square)`.

    Reference: `optax.scale_by_adam` with `nesterov=True` is this with psi -> infinity.
    """
    return _nadam(None, b1, b2, eps, psi)


def _nadam(
    learning_rate: ScalarOrSchedule | None, b1: float, b2: float, eps: float, psi: float
) -> optax.GradientTransformationExtraArgs:
    def init(params):
        return NadamState(
            count=jnp.zeros([], jnp.int32),
            product=jnp.ones([], float),
            mean=zeros_accumulator(params),
            square=zeros_real(params),
        )

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        factor = factor_at(learning_rate, state.count, learning_rate_scale)
        count = optax.safe_increment(state.count)
        t = jnp.asarray(count, float)
        mu, next_mu = momentum_at(b1, psi, t), momentum_at(b1, psi, t + 1)
        product = (state.product * mu).astype(float)
        of_mean, of_grad = next_mu / (1 - product * next_mu), (1 - mu) / (1 - product)
        c2 = bias_correction(b2, count)
        g = widen(grads)
        m = jax.tree.map(lambda m, g: moving_average(b1, m, g), state.mean, g)
        v = jax.tree.map(lambda v, g: moving_average(b2, v, squared(g)), state.square, g)
        step = jax.tree.map(
            lambda g, m, v: factor * (of_mean * m + of_grad * g) / (root(v / c2) + eps), g, m, v
        )
        return cast_like(step, grads), NadamState(count, product, m, v)

    return transformation(init, update)
