"""Equinox modules with the `init` and `apply` of Linen ones."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax

from jaxopt_lab.core.errors import InputError, require


class FromEquinox:
    """`init` and `apply` of an Equinox module; see `from_equinox`."""

    def __init__(self, make: Callable[[jax.Array], Any]):
        import equinox as eqx

        self._make = make
        module = eqx.filter_eval_shape(make, jax.random.key(0))
        _check(module)
        self._static = eqx.partition(module, _is_shape)[1]
        self._takes_key = "key" in inspect.signature(type(module).__call__).parameters

    def init(
        self, rngs: jax.Array | Mapping[str, jax.Array], x: Any = None, *, train: bool = False
    ) -> dict[str, Any]:
        """Variables as `{"params": ..., "buffers": ...}`, each a module with these leaves alone."""
        import equinox as eqx

        del x, train
        key = rngs["params"] if isinstance(rngs, Mapping) else rngs
        params, rest = eqx.partition(self._make(key), eqx.is_inexact_array)
        buffers = eqx.filter(rest, eqx.is_array)
        return {"params": params} | ({"buffers": buffers} if jax.tree.leaves(buffers) else {})

    def apply(
        self,
        variables: Mapping[str, Any],
        x: jax.Array,
        *,
        train: bool = False,
        rngs: Mapping[str, jax.Array] | None = None,
        mutable: bool | Collection[str] = False,
    ) -> Any:
        """Outputs, and beside them the buffers, which stay as they are, where `mutable` names
        them."""
        import equinox as eqx

        parts = [variables[name] for name in ("params", "buffers") if name in variables]
        module = eqx.nn.inference_mode(eqx.combine(*parts, self._static), value=not train)
        if not (self._takes_key and train):
            outputs = jax.vmap(module)(x)
        elif "dropout" not in (rngs or {}):
            raise InputError("from_equinox: the module takes a key: give rngs={'dropout': key}")
        else:
            keys = jax.random.split((rngs or {})["dropout"], len(x))
            outputs = jax.vmap(lambda x, key: module(x, key=key))(x, keys)
        if mutable is False:
            return outputs
        kept = {k: v for k, v in variables.items() if k == "buffers"}
        return outputs, {k: v for k, v in kept.items() if mutable is True or k in mutable}


def from_equinox(module: Any) -> FromEquinox:
    """Any Equinox module as a model that the engine trains like a Linen one.

    Its arrays of floating numbers become the collection "params", other arrays "buffers"; all else
    is kept as it is. The module is called on one sample, and mapped over the batch. The collections
    are modules too: `equinox.combine(params, module)` is one to call.

    Args:
      module: a function `key -> module`, whose parameters are drawn by the key of `init`, such as
        `lambda key: MyNet(10, key=key)`; or a module, whose own values `init` gives whatever the
        key. Called as `module(x)`, and in training with `key=` of each sample where it takes that;
        `equinox.nn.inference_mode` turns its dropout off in evaluation.

    Returns:
      An object with `init(rngs, x, train=...)` and `apply(variables, x, train=..., rngs=...,
      mutable=...)` as Linen modules have, for jit, vmap and scan.

    Raises:
      InputError: for anything else, and for a module whose layers keep a state, such as batch
        normalization; from `apply`, in training without a key where the module takes one.

    Reference: https://docs.kidger.site/equinox/api/manipulation/, on partition and combine.
    """
    require("equinox", "equinox")
    import equinox as eqx

    if isinstance(module, eqx.Module):
        _check(module)
        return FromEquinox(lambda key: module)
    if not callable(module):
        raise InputError(
            f"from_equinox: needs an equinox.Module or a function key -> module, got {module!r}"
        )
    return FromEquinox(module)


def _check(module: Any) -> None:
    import equinox as eqx

    keeps_state = lambda x: isinstance(x, eqx.nn.StateIndex)  # noqa: E731
    if any(map(keeps_state, jax.tree.leaves(module, is_leaf=keeps_state))):
        raise InputError(
            "from_equinox: the module has a layer with a state of its own, such as BatchNorm, "
            "which is not carried: take LayerNorm or GroupNorm in its place, or a model of Flax"
        )
    if not isinstance(module, eqx.Module) or not callable(module):
        raise InputError(
            "from_equinox: the function must give an equinox.Module that can be called, got "
            f"{type(module).__name__}"
        )


def _is_shape(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)
