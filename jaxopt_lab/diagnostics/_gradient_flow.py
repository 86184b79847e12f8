"""Norms of parameters, gradients and updates, by layer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.diagnostics.layers import l2_and_rms, names_by_layer, trained_leaves

_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GradientFlow:
    """Norms of L layers; each array is (L,), float32 or wider.

    Attributes:
      layers: path of each layer.
      matrices: whether a layer has a parameter of two axes or more, as normalizations have not.
      param_l2, param_rms: of the parameters, all of a layer as one vector.
      grad_l2, grad_rms: of the gradients.
      update_l2, update_rms: of the updates; NaN where none were given.
      update_ratio: update_l2 / param_l2, 0 where there is no update and infinity where the
        parameters alone are 0.
    """

    layers: tuple[str, ...] = field(metadata=_STATIC)
    matrices: tuple[bool, ...] = field(metadata=_STATIC)
    param_l2: jax.Array
    param_rms: jax.Array
    grad_l2: jax.Array
    grad_rms: jax.Array
    update_l2: jax.Array
    update_rms: jax.Array
    update_ratio: jax.Array


def gradient_flow(
    params: Any, grads: Any, updates: Any = None, *, order: Sequence[str] | None = None
) -> GradientFlow:
    """By layer, how large parameters, gradients and updates are.

    For a deep network that does not learn, or that learns in its last layers only. A layer is the
    parent of leaves, such as "Dense_0" of its kernel and bias; a leaf without a parent is its own.

        l2 = ||v||_2        rms = ||v||_2 / sqrt(size)        update_ratio = ||u||_2 / ||w||_2

    An update ratio near 1e-3 is a common rule of thumb; far above it training is unstable, far
    below it the layer stands still.

    Args:
      params: a pytree of any framework, such as Linen's `params`, an NNX state or an Equinox
        module. Leaves that cannot be trained are left out.
      grads: the gradients, a pytree with the same paths.
      updates: what is added to the parameters, as an optimizer's `update` gives it.
      order: paths of layers from the input on, such as `activation_health(...).order`. Layers that
        it leaves out follow each behind the one it follows in the tree; what is no layer is passed
        over. None for tree order, which in Linen is that of the names: "Dense_10" < "Dense_2".

    Returns:
      A `GradientFlow`. NaN and infinity stay what they are; a norm is infinite only where it is
      itself out of range, not where a square is.

    Raises:
      InputError: where the trees have other paths or shapes, or nothing to train.

    Reference: Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html (gradients
    by layer); https://karpathy.github.io/2019/04/25/recipe/ and https://cs231n.github.io
    /neural-networks-3/#ratio (the ratio).
    """
    leaves = trained_leaves(params)
    if not leaves:
        raise InputError(
            "gradient_flow: params must hold at least one array of floating numbers, got none"
        )
    given = {"params": leaves, "grads": _fitting("grads", grads, leaves)}
    if updates is not None:
        given["updates"] = _fitting("updates", updates, leaves)
    layers = names_by_layer(leaves)
    names = _ordered(tuple(layers), order)
    rows = {
        what: [[tree[name] for name in layers[layer]] for layer in names]
        for what, tree in given.items()
    }
    columns = _columns(rows)
    nothing = jnp.full_like(columns["param_l2"], jnp.nan)
    columns = {"update_l2": nothing, "update_rms": nothing} | columns
    update = columns["update_l2"]
    ratio = jnp.where(update == 0, 0, update / columns["param_l2"])
    matrices = tuple(any(np.ndim(leaves[n]) > 1 for n in layers[layer]) for layer in names)
    return GradientFlow(names, matrices, **columns, update_ratio=ratio)


def _fitting(what: str, tree: Any, params: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The leaves of a tree that must have those of the parameters."""
    leaves = trained_leaves(tree)
    for name in dict.fromkeys((*params, *leaves)):
        theirs, own = (jnp.shape(t[name]) if name in t else "none" for t in (leaves, params))
        if theirs != own:
            raise InputError(
                f"gradient_flow: {what} must have the paths and shapes of params, got {theirs} for "
                f"{own} at {name!r}: give the tree that jax.grad or the optimizer returns"
            )
    return leaves


def _ordered(layers: tuple[str, ...], order: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(order, str):
        raise InputError(f"gradient_flow: order must be a sequence of paths, got {order!r}")
    first = {layer: i for i, layer in reversed(list(enumerate(order or ())))}
    place, places = -1, []
    for i, layer in enumerate(layers):
        place = first.get(layer, place)
        places.append((place, i, layer))
    return tuple(layer for _, _, layer in sorted(places))


@jax.jit
def _columns(rows: dict[str, list[list[jax.Array]]]) -> dict[str, jax.Array]:
    """`{"grad_l2": (L,), ...}` of `{"grads": leaves of each layer}`."""
    columns = {}
    for what, layers in rows.items():
        l2, rms = l2_and_rms(layers)
        name = what.removesuffix("s")
        columns |= {f"{name}_l2": l2, f"{name}_rms": rms}
    return columns
