"""PyTorch's SGD."""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.rates import is_off
from jaxopt_lab.compat.torch.optimizer import torch_optimizer
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Decay, LearningRate, Range, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator
from jaxopt_lab.core.types import Params
from jaxopt_lab.optimizers.weight_decay import WeightDecay

Dampening = Annotated[float, Range(high=1)]


class SGDState(NamedTuple):
    """Steps taken and the velocity, PyTorch's momentum buffer."""

    count: jax.Array
    velocity: Params


@checked
def SGD(
    lr: LearningRate = 1e-3,
    momentum: Decay = 0.0,
    dampening: Dampening = 0.0,
    weight_decay: WeightDecay = 0.0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's SGD, with momentum, dampening and Nesterov's form.

        m <- mu m + (1 - dampening) g        m <- g at the first step
        theta <- theta - eta m               or, nesterov,  theta - eta (g + mu m)

    Args:
      lr: eta > 0, a number, a traced array or a schedule of the step.
      momentum: 0 <= mu < 1.
      dampening: the share of the gradient that does not enter the velocity, <= 1.
      weight_decay: lambda >= 0, added to the gradient as lambda theta, of every parameter.
      nesterov: static; needs momentum and no dampening.
      maximize: static; whether to climb.

    Returns:
      A transformation; state `SGDState(count, velocity)`; `optimizers.sgd`'s without momentum.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `torch.optim.SGD`.

    Differs from: `optimizers.momentum` and `nesterov` have eta inside the velocity.
    """
    if nesterov and (is_off(momentum) or not is_off(dampening)):
        needs = "needs momentum and zero dampening, as in PyTorch"
        raise ArgumentError("SGD", {"nesterov": needs})

    def init(params):
        return SGDState(jnp.zeros([], jnp.int32), zeros_accumulator(params))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        eta = value_at(lr, state.count, learning_rate_scale)
        share = jnp.where(state.count == 0, 1.0, 1.0 - dampening)
        g = widen(grads)
        velocity = jax.tree.map(
            lambda m, g: (momentum * m + share * g).astype(m.dtype), state.velocity, g
        )
        direction = velocity
        if nesterov:
            direction = jax.tree.map(lambda m, g: g + momentum * m, velocity, g)
        step = jax.tree.map(lambda d: -eta * d, direction)
        return cast_like(step, grads), SGDState(optax.safe_increment(state.count), velocity)

    step = transformation(init, update)
    if is_off(momentum):
        step = optimizers.sgd(lr)
    return torch_optimizer("SGD", step, maximize=maximize, weight_decay=weight_decay)
