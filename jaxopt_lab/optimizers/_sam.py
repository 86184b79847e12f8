"""Sharpness-aware minimization."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.norm import norm
from jaxopt_lab.core.ranges import Range, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import as_arrays, require_like, trained_part
from jaxopt_lab.core.tree import is_trained, widen
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.weight_decay import need_params


class SAMState(NamedTuple):
    """Steps taken."""

    count: jax.Array


@declare(role="sam", needs=("grad_fn",))
@checked
def sam(
    rho: Annotated[ScalarOrSchedule, Range(0)] = 0.05,
) -> optax.GradientTransformationExtraArgs:
    """Sharpness-aware minimization: the gradient from uphill, for whatever optimizer follows.

    For better generalization at twice the cost of a step.

        g <- g(theta + rho g / |g|)        |g| over all parameters; g itself where it is zero

    The first of a chain: `optax.chain(sam(0.05), momentum(0.1))`. Its `update` takes the extra
    `grad_fn`, the function `params -> grads` of this batch, beside any other extras. What precedes
    it in the chain bends the direction uphill and is lost to the gradient that it returns.

    Args:
      rho: >= 0, the radius, in the parameters' units; a number, a traced array or a schedule.

    Returns:
      A transformation; state `SAMState(count)`; `update` needs `params` and `grad_fn`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where `params` or `grad_fn` is missing.

    Reference: Foret et al., 2021, https://arxiv.org/abs/2010.01412, Algorithm 1.

    Differs from: `optax.contrib.sam` wraps the optimizers that it is used with, and refuses any
    other extra.
    """

    def init(params):
        del params
        return SAMState(jnp.zeros([], jnp.int32))

    def update(
        grads, state, params=None, *, grad_fn: Callable[[Params], Params] | None = None, **extra
    ):
        del extra
        need_params("sam", params)
        grads, params = as_arrays(grads), as_arrays(params)
        require_like(grads, params)
        if grad_fn is None:
            raise InputError(
                "sam: update needs the extra grad_fn, the function params -> grads of this batch: "
                "update(grads, state, params, grad_fn=jax.grad(loss))"
            )
        g = widen(trained_part(grads, params))
        whole = norm(g)
        some = whole.size > 0
        radius = jnp.where(some, value_at(rho, state.count) / jnp.where(some, whole.size, 1), 0)
        # Of whole parameters: what cannot be trained is part of what grad_fn takes.
        uphill = jax.tree.map(
            lambda p, g: (p + radius * (whole.inverse * g)).astype(p.dtype) if is_trained(p) else p,
            params,
            g,
        )
        sharp = jax.tree.map(
            lambda p, s, g: s.astype(g.dtype) if is_trained(p) else g,
            params,
            as_arrays(grad_fn(uphill)),
            grads,
        )
        return sharp, SAMState(optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init, update)
