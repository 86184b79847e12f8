"""PyTorch's RMSprop."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.compat.rates import is_off
from jaxopt_lab.compat.torch.optimizer import torch_optimizer
from jaxopt_lab.core.averages import moving_average
from jaxopt_lab.core.norm import root
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator
from jaxopt_lab.optimizers.rms import RMSpropState, difference
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
def RMSprop(
    lr: LearningRate = 1e-2,
    alpha: Decay = 0.99,
    eps: Positive = 1e-8,
    weight_decay: WeightDecay = 0.0,
    momentum: Decay = 0.0,
    centered: bool = False,
    *,
    maximize: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's RMSprop.

        E <- alpha E + (1 - alpha) g^2
        theta <- theta - eta g / (sqrt(E) + eps)

        centered:  M <- alpha M + (1 - alpha) g,   E - M^2 in the place of E
        momentum:  w <- mu w + g / (sqrt(E) + eps),   theta <- theta - eta w

    Args:
      lr: eta > 0, a number, a traced array or a schedule of the step.
      alpha: 0 <= alpha < 1, decay of the averages.
      eps: > 0, added to the root.
      weight_decay: lambda >= 0, added to the gradient as lambda theta, of every parameter.
      momentum: 0 <= mu < 1.
      centered: static.
      maximize: static; whether to climb.

    Returns:
      A transformation; state `optimizers.RMSpropState`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `torch.optim.RMSprop`.

    Differs from: `optimizers.rmsprop` has epsilon under the root, eta inside the velocity and,
    centered, E - M^2 without the difference that cancels where the mean is large beside the spread.
    PyTorch has NaN where rounding makes it negative, this 0.
    """
    has_momentum = not is_off(momentum)

    def init(params):
        zeros = zeros_accumulator
        return RMSpropState(
            count=jnp.zeros([], jnp.int32),
            square=zeros(params),
            mean=zeros(params) if centered else None,
            velocity=zeros(params) if has_momentum else None,
        )

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        eta = value_at(lr, state.count, learning_rate_scale)
        g = widen(grads)
        square = jax.tree.map(lambda e, g: moving_average(alpha, e, g * g), state.square, g)
        spread, mean, velocity = square, None, None
        if centered:
            mean = jax.tree.map(lambda m, g: moving_average(alpha, m, g), state.mean, g)
            spread = difference(square, mean)
        direction = jax.tree.map(lambda e, g: g / (root(e) + eps), spread, g)
        if has_momentum:
            velocity = jax.tree.map(
                lambda w, d: (momentum * w + d).astype(w.dtype), state.velocity, direction
            )
            direction = velocity
        step = jax.tree.map(lambda d: -eta * d, direction)
        count = optax.safe_increment(state.count)
        return cast_like(step, grads), RMSpropState(count, square, mean, velocity)

    step = transformation(init, update)
    return torch_optimizer("RMSprop", step, maximize=maximize, weight_decay=weight_decay)
