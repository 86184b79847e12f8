"""A schedule as a transformation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.types import Schedule


class ScaleByState(NamedTuple):
    """Steps taken, and the value applied at the last of them (at step 0 before any)."""

    count: jax.Array
    value: jax.Array


def scale_by(schedule: Schedule) -> optax.GradientTransformationExtraArgs:
    """Multiply updates by a schedule's value, and show the value in the state.

    For a chain whose optimizer takes no schedule of its own, and for logging.

        u_k <- s(k) u_k

    Args:
      schedule: s, `step -> scalar`.

    Returns:
      A transformation with state `ScaleByState(count, value)`.

    Reference: `optax.scale_by_schedule`. Differs from it: the state holds the value.
    """

    def init(params):
        del params
        return ScaleByState(jnp.zeros([], jnp.int32), jnp.asarray(schedule(0), float))

    def update(updates, state, params=None, **extra):
        del params, extra
        value = jnp.asarray(schedule(state.count), float)
        updates = jax.tree.map(lambda u: (value * u).astype(u.dtype), updates)
        return updates, ScaleByState(optax.safe_increment(state.count), value)

    return transformation(init, update)
