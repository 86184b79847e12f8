"""An operator on a part of the parameters."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import flatten_with_names
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg import Product


class Restricted(NamedTuple):
    """A diagonal block of an operator, and a part of the parameters as its vectors are.

    Both are in the order in which `top_eigenvalues`, `hessian_spectrum` and `trace` take them.
    """

    product: Product
    like: dict[str, jax.Array]


def restricted(product: Product, params: Params, where: Callable[[str], bool]) -> Restricted:
    """The diagonal block of an operator that belongs to some of the leaves.

        A_S v = (A (v on S, 0 elsewhere)) on S

    Use it for the curvature of one layer with all others held: `trace(*restricted(...), key)`.

    Args:
      product: `v -> A v` on pytrees as `params`.
      params: a pytree of arrays.
      where: says of a leaf's path, such as "Dense_0/kernel", whether it is in the part S.

    Returns:
      `Restricted(product, like)`, on `{path: leaf}`; a product costs as much as one of the whole.

    Raises:
      InputError: where no leaf is in the part.
    """
    named = flatten_with_names(params)
    like = {path: leaf for path, leaf in named.items() if where(path)}
    if not like:
        raise InputError(
            f"restricted: where must be true of at least one leaf, got none of {list(named)}"
        )
    structure = jax.tree.structure(params)

    def block(v):
        whole = [v[path] if path in like else jnp.zeros_like(x) for path, x in named.items()]
        image = flatten_with_names(product(jax.tree.unflatten(structure, whole)))
        return {path: image[path] for path in like}

    return Restricted(block, like)
