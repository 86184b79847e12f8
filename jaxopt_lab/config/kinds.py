"""What a function that a file names gives, as the kind of object that the program uses.

A function of the house gives it already. One of the user's own may give something near it: a module
of another library, a plain transformation of optax, a bare `(key, image) -> image`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from jaxopt_lab.augment import Op
from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.signatures import signature_of
from jaxopt_lab.core.types import Model
from jaxopt_lab.data import Dataset, as_dataset
from jaxopt_lab.nn import as_model

Function = Callable[..., Any]
Arguments = Mapping[str, Any]


def build_model(function: Function, arguments: Arguments) -> Model:
    """A model; a function that takes `rngs` or `key` is called when the run's parameters are."""
    make = functools.partial(function, **arguments)
    drawn = {"rngs", "key"} & signature_of(function).parameters.keys()
    return as_model(make if drawn else make())


def build_dataset(function: Function, arguments: Arguments) -> Dataset:
    """A `Dataset`, where the function gives all that `as_dataset` takes."""
    return as_dataset(function(**arguments))


def build_transformation(function: Function, arguments: Arguments) -> Any:
    """A `GradientTransformationExtraArgs`, where the function gives any transformation."""
    made = function(**arguments)
    if not (hasattr(made, "init") and hasattr(made, "update")):
        raise InputError(f"must give a GradientTransformation of optax, got {made!r}")
    return optax.with_extra_args_support(made)


def build_op(function: Function, arguments: Arguments) -> Any:
    """An `Op`, where the function gives any `(key, image) -> image`; a mixer as it is."""
    made = function(**arguments)
    if not callable(made):
        raise InputError(f"must give a function (key, image) -> image, got {made!r}")
    if isinstance(made, Op) or declared(function).mixes:
        return made
    return Op(_key, lambda key, image: made(key, image))


def _key(key: jax.Array) -> jax.Array:
    return key
