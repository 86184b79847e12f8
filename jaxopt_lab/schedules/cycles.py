"""Where a step lies among cycles, in whole numbers: exact at every boundary, however far."""

from numbers import Integral
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.schedules.of_step import LAST_STEP

NEVER = -1


class Cycle(NamedTuple):
    """A cycle: which one from 0, its first step and its last (or NEVER), and its length.

    All int32, but the length is a float.
    """

    index: jax.Array
    first: jax.Array
    last: jax.Array
    length: jax.Array


def cycle_at(step: jax.Array, length: int | jax.Array, growth: int | jax.Array) -> Cycle:
    """The cycle of a step, where the first has `length` steps and each next `growth` times more.

    Cycle i begins at S_i = length (growth^i - 1) / (growth - 1), or i length. Where growth > 1,
    int32 holds at most 31 of these. The index is the count of the starts that are passed, because a
    logarithm is off by one at some boundaries.
    """
    length, growth = _whole(length), _whole(growth)
    starts = _starts(length, growth)
    passed = jnp.sum((step >= starts[1:]) & (starts[1:] != NEVER), dtype=jnp.int32)
    following = starts[passed + 1]
    even_first = step - step % length
    grown_last = jnp.where(following != NEVER, following - 1, NEVER)
    even_last = jnp.where(even_first <= LAST_STEP - (length - 1), even_first + (length - 1), NEVER)
    even = jnp.asarray(growth == 1)
    index = jnp.where(even, step // length, passed)
    return Cycle(
        index,
        first=jnp.where(even, even_first, starts[passed]),
        last=jnp.where(even, even_last, grown_last),
        length=length * jnp.asarray(growth, float) ** index.astype(float),
    )


def _starts(length: int | jax.Array, growth: int | jax.Array) -> jax.Array:
    """S_0 to S_32 by S_(i+1) = growth S_i + length, NEVER beyond int32: (33,) int32."""
    starts = [length * 0]
    known = isinstance(length, int) and isinstance(growth, int)
    for _ in range(32):
        beyond = (starts[-1] == NEVER) | (starts[-1] > (LAST_STEP - length) // growth)
        following = growth * starts[-1] + length
        if known:
            starts.append(NEVER if beyond else following)
        else:
            starts.append(jnp.where(beyond, NEVER, following))
    return jnp.asarray(np.array(starts, np.int32)) if known else jnp.stack(starts)


def _whole(number: jax.typing.ArrayLike) -> int | jax.Array:
    if isinstance(number, Integral):
        return int(number)
    return jnp.asarray(number).astype(jnp.int32)
