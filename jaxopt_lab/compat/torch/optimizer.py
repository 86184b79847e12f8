"""What every PyTorch optimizer does before its own step."""

import jax
import jax.numpy as jnp
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
        return _of_real_parts(step)

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

    return _of_real_parts(transformation(step.init, update))


def _of_real_parts(
    step: optax.GradientTransformationExtraArgs,
) -> optax.GradientTransformationExtraArgs:
    """The step on real and imaginary parts by themselves, on a last axis: PyTorch's view_as_real.

    So a complex parameter moves as its two parts would. Trees without one are passed on.
    """

    def parts(tree):
        return jax.tree.map(
            lambda z: jnp.stack([z.real, z.imag], -1) if jnp.iscomplexobj(z) else z, tree
        )

    def whole(g, u):
        return jax.lax.complex(u[..., 0], u[..., 1]) if jnp.iscomplexobj(g) else u

    def update(grads, state, params=None, **extra):
        updates, state = step.update(parts(grads), state, parts(params), **extra)
        return jax.tree.map(whole, grads, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: step.init(parts(params)), update)
