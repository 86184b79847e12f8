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


def _constructor(function: Any) -> Callable[..., Any]:
    if isinstance(function, functools.partial):
        return functools.partial(_constructor(function.func), *function.args, **function.keywords)
    if isinstance(function, type) and type(function).__call__ is not type.__call__:
        return functools.partial(function.__init__, None)  # type: ignore
    return function
