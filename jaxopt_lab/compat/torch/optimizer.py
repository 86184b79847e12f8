"""What every PyTorch optimizer does before its own step."""

import jax
import optax

from jaxopt_lab.compat.rates import is_off
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen
from jaxopt_lab.core.types import ScalarOrSchedule
from jaxopt_lab.optimizers.weight_decay import need_params


def torch_optimizer(
    name: str,
    step: optax.GradientTransformationExtraArgs,
    *,
    maximize: bool,
    weight_decay: ScalarOrSchedule = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """The gradient of what PyTorch minimizes, given to its step.

        g <- -g                      maximize
        g <- g + lambda theta        every parameter

    Args:
      name: of the optimizer, for messages.
      step: the optimizer proper; its state is the whole state. It must have `count`.
      maximize: static.
      weight_decay: lambda, in the gradient.
    """
    if not maximize and is_off(weight_decay):
        return step

    def update(grads, state, params=None, **extra):
        g = widen(grads)
        if maximize:
            g = jax.tree.map(lambda g: -g, g)
        if not is_off(weight_decay):
            need_params(name, params)
            lam = value_at(weight_decay, state.count)
            g = jax.tree.map(lambda g, p: g + lam * p, g, widen(params))
        updates, state = step.update(g, state, params, **extra)
        return cast_like(updates, grads), state

    return transformation(step.init, update)
