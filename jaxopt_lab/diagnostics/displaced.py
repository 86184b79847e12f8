"""Parameters moved along directions, which must be built as they are."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import accumulator_dtype, is_trained
from jaxopt_lab.core.types import Params


def displaced(params: Params, directions: Sequence[Params], steps: Sequence[Any]) -> Params:
    """params + sum_i steps_i directions_i, in float32 or wider and then in the parameters' dtype.

    With steps of 0 it is `params` to the bit. Leaves that are not trained stay.
    """

    def of_leaf(p, *ds):
        if not is_trained(p):
            return p
        wide = accumulator_dtype(p.dtype)
        moved = p.astype(wide)
        for step, d in zip(steps, ds, strict=True):
            moved = moved + jnp.asarray(step, wide) * d.astype(wide)
        return moved.astype(p.dtype)

    return jax.tree.map(of_leaf, params, *directions)


def require_alike(method: str, name: str, tree: Any, params: Params) -> None:
    """Make sure that a tree has the structure and the shapes of the parameters.

    Raises:
      InputError: naming the argument where it has not.
    """
    if jax.tree.structure(tree) != jax.tree.structure(params):
        got, expected = jax.tree.structure(tree), jax.tree.structure(params)
    else:
        pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(params), strict=True)
        differing = [(jnp.shape(a), jnp.shape(b)) for a, b in pairs if jnp.shape(a) != jnp.shape(b)]
        if not differing:
            return
        got, expected = (f"a leaf of shape {shape}" for shape in differing[0])
    raise InputError(
        f"{method}: {name} must be built as the parameters, {expected}, got {got}; "
        "take both of one network"
    )
