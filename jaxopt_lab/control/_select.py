"""Choosing between two pytrees without a branch, so that each lane of a `vmap` has its own."""

from typing import Any

import jax
import jax.numpy as jnp


def select(condition: jax.Array, new: Any, old: Any) -> Any:
    """`new` where the scalar condition holds, else `old`; bit for bit, NaN in the other is lost."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), new, old)


def zero_where(condition: jax.Array, tree: Any) -> Any:
    """Zeros where the scalar condition holds, whatever the leaves are; else the leaves."""
    return jax.tree.map(lambda x: jnp.where(condition, jnp.zeros_like(x), x), tree)


def copied(tree: Any) -> Any:
    """Own buffers, so that parameters and a state that began as them can both be donated."""
    return jax.tree.map(lambda x: jnp.array(x, copy=True), tree)
