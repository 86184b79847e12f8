"""Pytree maths that optax's own does not have."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError


def cast_floating(tree: Any, dtype: Any) -> Any:
    """Floating leaves as `dtype`, all others as they are."""
    return jax.tree.map(
        lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree
    )


def is_trained(leaf: Any) -> bool:
    """Whether a leaf can be trained: it holds floating or complex numbers."""
    return jnp.issubdtype(getattr(leaf, "dtype", type(leaf)), jnp.inexact)


def accumulator_dtype(dtype: Any) -> Any:
    """float32 for narrower floats, the dtype itself otherwise: what an optimizer's state holds."""
    return jnp.promote_types(dtype, jnp.float32)


def widen(tree: Any) -> Any:
    """Leaves that can be trained in the precision of their accumulators, all others as they are."""
    return jax.tree.map(
        lambda x: jnp.asarray(x, accumulator_dtype(jnp.result_type(x))) if is_trained(x) else x,
        tree,
    )


def cast_like(tree: Any, like: Any) -> Any:
    """Leaves in the dtypes of the leaves of `like`."""
    return jax.tree.map(lambda x, y: x.astype(y.dtype), tree, like)


def zeros_accumulator(params: Any) -> Any:
    """Zeros of the parameters' shapes and sharding in `accumulator_dtype`."""
    return jax.tree.map(lambda p: jnp.zeros_like(p, accumulator_dtype(jnp.result_type(p))), params)


def zeros_real(params: Any) -> Any:
    """`zeros_accumulator` of real numbers, for what is |z|^2 of each z."""
    return jax.tree.map(lambda z: jnp.zeros_like(z, z.real.dtype), zeros_accumulator(params))


def all_finite(tree: Any) -> jax.Array:
    """Whether every leaf that can be trained holds finite numbers only: a bool scalar."""
    leaves = [jnp.isfinite(x).all() for x in jax.tree.leaves(tree) if is_trained(x)]
    return jnp.stack(leaves).all() if leaves else jnp.array(True)


def stays_finite(old: Any, new: Any) -> jax.Array:
    """Whether every number of a state that was finite still is: a bool scalar.

    The best value of a control that has seen none is infinite from the start.
    """
    pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    kept = [(~jnp.isfinite(a) | jnp.isfinite(b)).all() for a, b in pairs if is_trained(a)]
    return jnp.stack(kept).all() if kept else jnp.array(True)


def on_host(leaf: jax.Array) -> np.ndarray | jax.Array:
    """A leaf as a NumPy array; a PRNG key, which NumPy has not, as it is."""
    return leaf if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else np.asarray(leaf)


def size_bytes(tree: Any) -> int:
    """Bytes of all leaves, arrays or `ShapeDtypeStruct`s."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def flatten_with_names(tree: Any) -> dict[str, Any]:
    """`{"params/Dense_0/kernel": leaf}`: the leaves by a readable path, in tree order."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {path_name(path): leaf for path, leaf in leaves}


def path_name(path: tuple[Any, ...]) -> str:
    """A path of the tree as `flatten_with_names` writes it."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def stack_trees(trees: Sequence[Any]) -> Any:
    """Trees of one structure as one, the leaves stacked along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def take(tree: Any, index: Any) -> Any:
    """`leaf[index]` of every leaf: a number takes a member of `stack_trees`, a slice several."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def find_states(tree: Any, *types: type) -> list[Any]:
    """All nodes of the tree of these `NamedTuple` types, those inside one another too."""

    def within(nodes):
        leaves = jax.tree.leaves(nodes, is_leaf=lambda x: isinstance(x, types))
        states = [leaf for leaf in leaves if isinstance(leaf, types)]
        return [each for state in states for each in (state, *within(tuple(state)))]

    return within((tree,))


def find_state(opt_state: Any, name: str, *types: type) -> Any:
    """The one node of these types in an optimizer's state.

    Args:
      opt_state: the state, of a chain, a wrapper or a method by itself.
      name: what has such a state, for the message.
      types: of the node.

    Raises:
      InputError: where there is none, or more than one.
    """
    states = find_states(opt_state, *types)
    if len(states) != 1:
        text = "no" if not states else f"{len(states)} of"
        one = "" if not states else "; there must be one"
        raise InputError(f"the optimizer's state has {text} {name}{one}")
    return states[0]
