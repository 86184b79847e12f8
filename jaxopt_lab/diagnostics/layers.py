"""Which leaves of a pytree of parameters are one layer, what it is called, and how large it is."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import FlattenedIndexKey, GetAttrKey, keystr

from jaxopt_lab.core.norm import largest, power_of_two, squared
from jaxopt_lab.core.tree import is_trained, widen

SMALL, ROW = 2**16, 128
"""Numbers of a leaf that is measured together with others, and of the rows that these make."""

_BOX = (GetAttrKey("value"), GetAttrKey("raw_value"), FlattenedIndexKey(0))


def trained_leaves(tree: Any) -> dict[str, jax.Array]:
    """`{"Dense_0/kernel": leaf}` of the leaves that can be trained, in tree order.

    What a variable of NNX or a partitioned box of Linen puts around its array is no part of the
    name. Functions and whole numbers, as Equinox modules hold them, are left out.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {name_of(path): leaf for path, leaf in leaves if is_array(leaf) and is_trained(leaf)}


def is_array(leaf: Any) -> bool:
    """Whether a leaf is an array: of JAX, traced or not, or of NumPy."""
    return hasattr(leaf, "dtype") and hasattr(leaf, "shape")


def name_of(path: tuple[Any, ...]) -> str:
    """The readable path of a leaf; "params" of one that is the whole tree."""
    while len(path) > 1 and path[-1] in _BOX:
        path = path[:-1]
    return keystr(path, simple=True, separator="/") or "params"


def layer_of(name: str) -> str:
    """The layer of a leaf: its parent, or the leaf itself where it has none."""
    return name.rpartition("/")[0] or name


def names_by_layer(names: Iterable[str]) -> dict[str, list[str]]:
    """`{layer: names of its leaves}`, layers in the order in which they first come."""
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(layer_of(name), []).append(name)
    return layers


def l2_and_rms(groups: Sequence[Sequence[jax.Array]]) -> tuple[jax.Array, jax.Array]:
    """Of each group of leaves, together, the norm and the root mean square; (G,), float32 or wider.

    Squares neither overflow nor underflow, because they are taken relative to the largest entry.
    """
    leaves = widen([jnp.asarray(leaf) for group in groups for leaf in group])
    group_of = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    sizes = np.array([leaf.size for leaf in leaves])
    # The small ones as the rows of one array: a few operations a leaf would take long to compile.
    small, large = np.flatnonzero(sizes <= SMALL), np.flatnonzero(sizes > SMALL)
    counts = np.maximum(-(-sizes[small] // ROW), 1)
    together = [_rows([leaves[i] for i in small], counts)] if len(small) else []
    part_of = np.concatenate([group_of[large], np.repeat(group_of[small], counts)])
    most = jnp.concatenate(
        [largest(leaves[i])[None] for i in large] + [jnp.abs(x).max(1) for x in together]
    )
    scale = power_of_two(jax.ops.segment_max(most, part_of, len(groups)))

    def relative(x: jax.Array, group: Any) -> jax.Array:
        return squared(x / scale[group].astype(x.real.dtype))

    squares = [jnp.sum(relative(leaves[i], group_of[i]))[None] for i in large]
    squares += [jnp.sum(relative(x, part_of[len(large) :, None]), 1) for x in together]
    total = jax.ops.segment_sum(jnp.concatenate(squares).astype(scale.dtype), part_of, len(groups))
    count = np.maximum(np.bincount(group_of, sizes, len(groups)), 1).astype(scale.dtype)
    return scale * jnp.sqrt(total), scale * jnp.sqrt(total / count)


def l2_of(norms: jax.Array) -> jax.Array:
    """The norm of all that has these norms."""
    scale = power_of_two(norms.max())
    return scale * jnp.sqrt(jnp.sum(squared(norms / scale)))


def _rows(leaves: Sequence[jax.Array], counts: np.ndarray) -> jax.Array:
    """Leaves one after another in rows of `ROW` numbers, of each so many, filled up with zeros."""
    parts = []
    for leaf, count in zip(leaves, counts.tolist(), strict=True):
        parts += [leaf.ravel(), np.zeros(count * ROW - leaf.size, leaf.dtype)]
    return jnp.concatenate(parts).reshape(-1, ROW)
