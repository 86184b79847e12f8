"""The runs of one device, block after block."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.tree import take


def in_blocks(
    one: Callable[[Any], Any], stacked: Any, at_once: int | None, *, in_place: bool = False
) -> Any:
    """`vmap` of `one`, in equal blocks of at most `at_once` runs.

    Args:
      one: a pure function of what belongs to one run.
      stacked: what belongs to all runs, leading axis R.
      at_once: runs a block, >= 1; None for all in one.
      in_place: whether `one` gives `(own, ...)` of which the new `own` is written over the old one,
        a block at a time: a loop with other results would hold and copy all of them twice.

    Returns:
      What `vmap(one)(stacked)` gives.
    """
    runs = len(jax.tree.leaves(stacked)[0])
    if at_once is None or (at_once >= runs and at_once > 1):
        return jax.vmap(one)(stacked)
    # Of 16 runs six at a time leave two places empty, four at a time none.
    size = min(range(at_once, (at_once - 1) // 2, -1), key=lambda size: -runs % size)
    blocks = -(-runs // size)
    apply = jax.vmap(one) if size > 1 else _of_single(one)

    def block(stacked, index):
        # The last block begins where it is full, with runs that have had their turn.
        first = jnp.minimum(index * size, runs - size)
        before = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, first, size), stacked)
        found = apply(before)
        if not in_place:
            return stacked, found
        after, *rest = found
        if runs % size:
            due = first + jnp.arange(size) >= index * size
            after = jax.tree.map(lambda a, b: jax.vmap(jnp.where)(due, a, b), after, before)
        write = lambda x, new: jax.lax.dynamic_update_slice_in_dim(x, new, first, 0)  # noqa: E731
        return jax.tree.map(write, stacked, after), tuple(rest)

    def joined(x):
        flat = x.reshape(blocks * size, *x.shape[2:])
        begin = (blocks - 1) * size
        return jnp.concatenate([flat[:begin], flat[begin - runs :]]) if runs % size else flat

    stacked, found = jax.lax.scan(block, stacked, jnp.arange(blocks))
    found = jax.tree.map(joined, found)
    return (stacked, *found) if in_place else found


def _of_single(one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`vmap(one)` of a single run without its `vmap`, which makes a convolution a grouped one."""

    def apply(stacked):
        return jax.tree.map(lambda x: x[None], one(take(stacked, 0)))

    return apply
