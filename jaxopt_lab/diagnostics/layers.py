"""Which leaves of a pytree of parameters are one layer, and what the layer is called."""

from typing import Any

import jax
from jax.tree_util import FlattenedIndexKey, GetAttrKey, keystr

from jaxopt_lab.core.tree import is_trained

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


def name_of(path: tuple) -> str:
    """The readable path of a leaf."""
    while len(path) > 1 and path[-1] in _BOX:
        path = path[:-1]
    return keystr(path, simple=True, separator="/")


def layer_of(name: str) -> str:
    """The layer of a leaf: its parent, or the leaf itself where it has none."""
    return name.rpartition("/")[0] or name


def by_layer(names: Any) -> dict[str, list[str]]:
    """`{layer: names of its leaves}`, layers in the order in which they first come."""
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(layer_of(name), []).append(name)
    return layers
