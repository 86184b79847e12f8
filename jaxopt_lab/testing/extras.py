"""What `update` is given beside gradients, state and parameters, by the names that optax uses."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import Params

Extras = Callable[[Params, Any], dict[str, Any]]
"""`extras(params, step)`: traceable, as `step` is a traced number in a loop."""

Loss = Callable[[Params, Any], jax.Array]
"""`loss(params, step)`: a scalar."""

NAMES = ("value", "grad", "value_fn", "grad_fn", "obj_fn", "key")


def waves_loss(params: Params, step: Any) -> jax.Array:
    """The loss of which `waves` is the gradient, sum (1 + sin(3 p + step)) / 3, never below 0."""
    waves = [(1 + jnp.sin(3 * p + step)).real.sum() for p in jax.tree.leaves(params)]
    return jnp.asarray(sum(waves, start=jnp.zeros(())) / 3, jnp.float32)


def standard(names: Sequence[str], loss: Loss) -> Extras:
    """Extra arguments by name, of one loss.

    Args:
      names: `value` and `grad` of the parameters; `value_fn`, or `obj_fn` for the same, and
        `grad_fn`, functions of parameters (a second argument, as `optax.contrib.sam` gives one, is
        ignored); `key`, another at every step.
      loss: whose they are.
    """

    def extras(params: Params, step: Any) -> dict[str, Any]:
        value_fn = lambda p: loss(p, step)  # noqa: E731
        makers = {
            "value": lambda: value_fn(params),
            "grad": lambda: jax.grad(value_fn)(params),
            "value_fn": lambda: value_fn,
            "grad_fn": lambda: lambda p, *_: jax.grad(value_fn)(p),
            "obj_fn": lambda: value_fn,
            "key": lambda: jax.random.fold_in(jax.random.key(0), step),
        }
        return {name: makers[name]() for name in names}

    return extras
