"""Pytree maths that optax's own does not have."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


def cast_floating(tree: Any, dtype: Any) -> Any:
    """Floating leaves as `dtype`, all others as they are."""
    return jax.tree.map(
        lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree
    )


def accumulator_dtype(dtype: Any) -> Any:
    """float32 for narrower floats, the dtype itself otherwise: what an optimizer's state holds."""
    return jnp.promote_types(dtype, jnp.float32)


def widen(tree: Any) -> Any:
    """Leaves in the precision of their accumulators; those already so wide are left alone."""
    return jax.tree.map(lambda x: x.astype(accumulator_dtype(x.dtype)), tree)


def cast_like(tree: Any, like: Any) -> Any:
    """Leaves in the dtypes of the leaves of `like`."""
    return jax.tree.map(lambda x, y: x.astype(y.dtype), tree, like)


def zeros_accumulator(params: Any) -> Any:
    """Zeros of the parameters' shapes and sharding in `accumulator_dtype`."""
    return jax.tree.map(lambda p: jnp.zeros_like(p, accumulator_dtype(jnp.result_type(p))), params)


def all_finite(tree: Any) -> jax.Array:
    """Whether every floating leaf holds finite numbers only: a bool scalar."""
    leaves = [jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]
    return jnp.stack(leaves).all() if leaves else jnp.array(True)


def size_bytes(tree: Any) -> int:
    """Bytes of all leaves, arrays or `ShapeDtypeStruct`s."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def flatten_with_names(tree: Any) -> dict[str, Any]:
    """`{"params/Dense_0/kernel": leaf}`: the leaves by a readable path, in tree order."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def find_states(tree: Any, *kinds: type) -> list[Any]:
    """All nodes of these types, such as an optimizer's states, also those inside one another."""

    def among(children: Any) -> list[Any]:
        nodes = jax.tree.leaves(children, is_leaf=lambda x: isinstance(x, kinds))
        states = [node for node in nodes if isinstance(node, kinds)]
        return [found for state in states for found in (state, *among(tuple(state)))]

    return among((tree,))


def stack(trees: Sequence[Any]) -> Any:
    """Trees of one structure as one, each leaf with a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def take(tree: Any, index: Any) -> Any:
    """`leaf[index]` of every leaf: one of what was stacked, or with a slice some of them."""
    return jax.tree.map(lambda leaf: leaf[index], tree)
