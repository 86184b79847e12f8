"""A network of any kind as one that the engine trains."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from flax import linen

from jaxopt_lab.core.signatures import arguments_of, takes
from jaxopt_lab.core.types import Model
from jaxopt_lab.nn._from_equinox import from_equinox

# What a module may call the wish to train, and whether it is the wish not to.
_WORDS = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "inference": True,
}


class Adapted:
    """A model that takes less than the engine gives; see `as_model`."""

    def __init__(self, model: Any, call: Callable[..., Any] | None = None):
        self._model = model
        # What a Linen module is not asked for itself goes to its `call`.
        self._init, self._apply = call or model.init, call or model.apply
        self._taken = None if call else arguments_of(model.apply)

    def __repr__(self) -> str:
        return repr(self._model)

    def init(self, rngs: Any, x: Any, *, train: bool = False) -> Mapping[str, Any]:
        """The first variables."""
        return self._model.init(rngs, x, **_told(self._init, train))

    def apply(self, variables: Any, x: Any, *, train: bool = False, **how: Any) -> Any:
        """The outputs; with `mutable` a pair of them and the changed collections."""
        taken = {k: v for k, v in how.items() if self._taken is None or k in self._taken}
        outputs = self._model.apply(variables, x, **_told(self._apply, train), **taken)
        alone = how.get("mutable", False) is not False and "mutable" not in taken
        return (outputs, {}) if alone else outputs


def as_model(made: Any) -> Any:
    """A network as a pair of pure functions that the engine trains.

    Args:
      made: a Linen module, or another object with `init(rngs, x)` and `apply(variables, x)`, which
        need not take `train=`; `training=` or `deterministic=` is as
        good. An `nnx.Module` or a
        function of `rngs` that gives one; an `equinox.Module` or a function of `key` that gives
        one. A module that is given has its own first values; a function draws them by the run's
        seed.

    Returns:
      An object with `init(rngs, x, train=...)` and `apply(variables, x, train=..., rngs=...,
      mutable=...)`; what has these already as it is, and anything else too, to be refused where it
      is used.

    Raises:
      InputError: from `from_nnx` and `from_equinox`.
    """
    # What is of a library that was not imported is not there.
    equinox, nnx = sys.modules.get("equinox"), sys.modules.get("flax.nnx")
    if isinstance(made, linen.Module):
        call = type(made).__call__
        return made if takes(call, "train") else Adapted(made, call)
    if nnx is not None and isinstance(made, nnx.Module):
        from jaxopt_lab.nn._from_nnx import from_nnx

        return from_nnx(made)
    if isinstance(made, type):
        return made
    if isinstance(made, Model):
        return made if takes(made.init, "train") and takes(made.apply, "train") else Adapted(made)
    if equinox is not None and isinstance(made, equinox.Module):
        return from_equinox(made)
    taken = arguments_of(made) if callable(made) else ()
    if "rngs" in (taken or ()):
        from jaxopt_lab.nn._from_nnx import from_nnx

        return from_nnx(lambda rngs: made(rngs=rngs))
    if "key" in (taken or ()):
        return from_equinox(lambda key: made(key=key))
    return made


def _told(function: Callable[..., Any], train: bool) -> dict[str, bool]:
    """Whether to train, by the name that a function has for it; nothing where it has none."""
    taken = arguments_of(function)
    words = ["train"] if taken is None else [word for word in _WORDS if word in taken]
    return {word: train != _WORDS[word] for word in words[:1]}
