"""The contract of this toolkit around a method of optax."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen
from jaxopt_lab.core.types import ScalarOrSchedule
from jaxopt_lab.optimizers.weight_decay import need_params

SMALLEST = float(np.finfo(np.float32).tiny)
"""For optax's `eps_root`: with it the derivative of a root at 0 is finite, and values stay what
they are, because it is rounded off beside any square that counts."""


class FromOptaxState(NamedTuple):
    """Steps taken, and optax's own state in float32 or wider."""

    count: jax.Array
    inner: Any


def from_optax(
    name: str,
    learning_rate: ScalarOrSchedule,
    build: Callable[[jax.Array, jax.Array], optax.GradientTransformation],
) -> optax.GradientTransformationExtraArgs:
    """A method of optax in float32, with its rate read at every step.

    Every trace builds the method again, from the rate of the step. So a number, a traced array and
    a schedule take one path, and `learning_rate_scale` acts wherever optax has its rate.

    Args:
      name: of the method, for messages.
      learning_rate: eta, a number, a traced array or a schedule of the step.
      build: `(eta, step) -> transformation`, whose state's structure does not depend on either.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`. Unknown extras are ignored, gradients
      and parameters reach the method in float32 or wider, updates have the gradients' dtypes.
    """

    def init(params):
        start = jnp.zeros([], jnp.int32)
        inner = build(value_at(learning_rate, start), start).init(widen(params))
        # Some methods keep the first parameters. They get copies, because JAX refuses to donate one
        # buffer twice.
        return FromOptaxState(start, jax.tree.map(lambda x: jnp.array(x, copy=True), inner))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del extra
        need_params(name, params)
        eta = value_at(learning_rate, state.count, learning_rate_scale)
        method = build(eta, state.count)
        updates, inner = method.update(widen(grads), state.inner, widen(params))
        count = optax.safe_increment(state.count)
        return cast_like(updates, grads), FromOptaxState(count, cast_like(inner, state.inner))

    return transformation(init, update)
