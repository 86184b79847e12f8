"""RMSprop's step, with what its square root is of."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import moving_average
from jaxopt_lab.core.norm import squared
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator, zeros_real
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.descent import factor_at

Spread = Literal["square", "variance", "difference"]


class RMSpropState(NamedTuple):
    """What RMSprop keeps, float32 or wider.

    Attributes:
      count: steps taken.
      square: the moving average of |g|^2; of `optimizers.rmsprop`, centered, the variance.
      mean: the moving average of g, where centered.
      velocity: where there is momentum.
    """

    count: jax.Array
    square: Params
    mean: Params | None
    velocity: Params | None


def rms_step(
    learning_rate: ScalarOrSchedule | None,
    decay: float,
    eps: float,
    momentum: ScalarOrSchedule | None,
    spread: Spread,
) -> optax.GradientTransformationExtraArgs:
    """`theta <- theta - eta g / sqrt(S + eps)`; see `rmsprop`.

    Args:
      learning_rate: eta, or None for the direction.
      decay: rho.
      eps: under the root.
      momentum: beta, or None for none.
      spread: static; S is "square", the average E of |g|^2; "variance", E - |M|^2 with the average
        M of g, by what it changes by at a step: V <- rho (V + (1 - rho) |g - M|^2); "difference",
        the same by its definition, which cancels where the mean is large beside the spread.
    """

    def init(params):
        return RMSpropState(
            count=jnp.zeros([], jnp.int32),
            square=zeros_real(params),
            mean=None if spread == "square" else zeros_accumulator(params),
            velocity=None if momentum is None else zeros_accumulator(params),
        )

    def gathered(state, g):
        """The state's square and mean after g, and S."""
        if spread == "variance":
            square = jax.tree.map(
                lambda v, m, g: (decay * (v + (1 - decay) * squared(g - m))).astype(v.dtype),
                state.square,
                state.mean,
                g,
            )
        else:
            square = jax.tree.map(
                lambda e, g: moving_average(decay, e, squared(g)), state.square, g
            )
        if spread == "square":
            return square, None, square
        mean = jax.tree.map(lambda m, g: moving_average(decay, m, g), state.mean, g)
        return square, mean, square if spread == "variance" else difference(square, mean)

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        factor = factor_at(learning_rate, state.count, learning_rate_scale)
        g = widen(grads)
        square, mean, below = gathered(state, g)
        velocity = None
        step = jax.tree.map(lambda s, g: factor * g / jnp.sqrt(s + eps), below, g)
        if momentum is not None:
            beta = value_at(momentum, state.count)
            # The step is minus what the equation adds to w.
            velocity = jax.tree.map(lambda w, s: beta * w - s, state.velocity, step)
            step = jax.tree.map(lambda w: -w, velocity)
        count = optax.safe_increment(state.count)
        return cast_like(step, grads), RMSpropState(count, square, mean, velocity)

    return transformation(init, update)


def difference(square: Params, mean: Params) -> Params:
    """`E - |M|^2`; only rounding makes it negative."""
    return jax.tree.map(lambda e, m: jnp.maximum(e - squared(m), 0), square, mean)
