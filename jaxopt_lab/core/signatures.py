"""The arguments of anything that can be called."""

import functools
import inspect
from collections.abc import Callable
from typing import Any


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function, a class or a `functools.partial` of either.

    Of a class whose metaclass is called in its place, as those of NNX are, it is that of its
    `__init__`, where `inspect.signature` tells that of the metaclass, which takes anything.

    Raises:
      TypeError, ValueError: where there is none.
    """
    return inspect.signature(_constructor(function))


def arguments_of(function: Callable[..., Any]) -> frozenset[str] | None:
    """The names of the arguments of a function; None where it takes any."""
    parameters = signature_of(function).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    return frozenset(parameters)


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function takes an argument of this name."""
    taken = arguments_of(function)
    return taken is None or name in taken


def _constructor(function: Any) -> Callable[..., Any]:
    if isinstance(function, functools.partial):
        return functools.partial(_constructor(function.func), *function.args, **function.keywords)
    if isinstance(function, type) and type(function).__call__ is not type.__call__:
        return functools.partial(function.__init__, None)  # type: ignore
    return function
