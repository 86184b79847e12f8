"""NNX modules with the `init` and `apply` of Linen ones."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx

from jaxopt_lab.core.errors import InputError

# How a module's variables are told apart, and the collections of Linen that they are like.
_KINDS = {"params": nnx.Param, "batch_stats": nnx.BatchStat, "other": ...}


class FromNNX:
    """`init` and `apply` of an NNX module; see `from_nnx`."""

    def __init__(self, make: Callable[[nnx.Rngs], nnx.Module]):
        self._make = make
        module = nnx.eval_shape(lambda: _built(make))
        self._graph, self._random, *states = nnx.split(module, nnx.RngState, *_KINDS.values())
        self._states = dict(zip(_KINDS, states, strict=True))
        self._takes_train = "train" in inspect.signature(type(module).__call__).parameters

    def init(
        self, rngs: jax.Array | Mapping[str, jax.Array], x: Any = None, *, train: bool = False
    ) -> dict[str, Any]:
        """Variables as `{"params": ..., "batch_stats": ...}` of nested dicts, by a key."""
        del x, train
        key = rngs["params"] if isinstance(rngs, Mapping) else rngs
        _, _, *states = nnx.split(self._make(nnx.Rngs(key)), nnx.RngState, *_KINDS.values())
        return self._pure(states)

    def apply(
        self,
        variables: Mapping[str, Any],
        x: jax.Array,
        *,
        train: bool = False,
        rngs: Mapping[str, jax.Array] | None = None,
        mutable: bool | Collection[str] = False,
    ) -> Any:
        """Outputs, and beside them the collections of `mutable` where it is given."""
        states = [_filled(s, variables.get(kind, {})) for kind, s in self._states.items()]
        module = nnx.merge(self._graph, self._keys(rngs, train), *states)
        module.train() if train else module.eval()
        outputs = module(x, train=train) if self._takes_train else module(x)
        if mutable is False:
            return outputs
        _, _, *states = nnx.split(module, nnx.RngState, *_KINDS.values())
        after = self._pure(states)
        kept = after if mutable is True else {k: v for k, v in after.items() if k in mutable}
        return outputs, kept

    def _pure(self, states: list[nnx.State]) -> dict[str, Any]:
        pure = {k: nnx.to_pure_dict(s) for k, s in zip(_KINDS, states, strict=True)}
        return {k: v for k, v in pure.items() if v or k == "params"}

    def _keys(self, rngs: Mapping[str, jax.Array] | None, train: bool) -> nnx.State:
        """A key of its own for each random layer; in evaluation these draw nothing."""
        leaves, tree = jax.tree.flatten(self._random)
        if leaves and train and "dropout" not in (rngs or {}):
            raise InputError("from_nnx: the module draws in training: give rngs={'dropout': key}")
        key = (rngs or {}).get("dropout", jax.random.key(0))

        keys = [
            jax.random.fold_in(key, i)
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            else jnp.zeros_like(leaf)  # the count of draws
            for i, leaf in enumerate(leaves)
        ]
        return jax.tree.unflatten(tree, keys)


def from_nnx(module: nnx.Module | Callable[[nnx.Rngs], nnx.Module]) -> FromNNX:
    """Any NNX module as a model that the engine trains like a Linen one.

    `nnx.Param` becomes the collection "params", `nnx.BatchStat` becomes "batch_stats", any further
    variables "other", each as nested dicts. The module itself is never changed.

    Args:
      module: a function `rngs -> module`, whose parameters are drawn by the key of `init`, such as
        `lambda rngs: MyNet(10, rngs=rngs)`; or a module, whose own values `init` gives whatever
        the key, so that training goes on from there. Called as `module(x)`, or as
        `module(x, train=...)` where it takes that, after `module.train()` or `module.eval()`.

    Returns:
      An object with `init(rngs, x, train=...)` and `apply(variables, x, train=..., rngs=...,
      mutable=...)` as Linen modules have, for jit, vmap and scan. Layers that draw, such as
      Dropout, do so by `rngs["dropout"]`.

    Raises:
      InputError: for anything else; from `apply`, in training without a key where one is needed.

    Reference: https://flax.readthedocs.io/en/latest/guides/bridge_guide.html, on which variables
    are which collections.
    """
    if isinstance(module, nnx.Module):
        graph, state = nnx.split(module)
        return FromNNX(lambda rngs: nnx.merge(graph, state))
    if isinstance(module, linen.Module) or not callable(module):
        raise InputError(
            "from_nnx: needs an nnx.Module or a function rngs -> module, got "
            + ("a Linen module, which can be used as it is" if callable(module) else repr(module))
        )
    return FromNNX(module)


def _built(make: Callable[[nnx.Rngs], nnx.Module]) -> nnx.Module:
    name = getattr(make, "__name__", repr(make))
    # Of a class itself it is that of its metaclass, which takes anything.
    called = functools.partial(make.__init__, None) if isinstance(make, type) else make
    try:
        inspect.signature(called).bind(None)
    except TypeError as error:
        raise InputError(
            f"from_nnx: {name} cannot be called with rngs alone ({error}): give lambda rngs: "
            f"{name}(..., rngs=rngs)"
        ) from None
    module = make(nnx.Rngs(0))
    if not isinstance(module, nnx.Module):
        raise InputError(f"from_nnx: {name} must return an nnx.Module, got {module!r}")
    return module


def _filled(template: nnx.State, values: Mapping[str, Any]) -> nnx.State:
    state = jax.tree.map(lambda x: x, template)
    nnx.replace_by_pure_dict(state, values)
    return state
