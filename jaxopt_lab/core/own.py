"""Names that a user's own code brings, beside those of the house, while a block is entered.

They are of the context, not of the process: a thread sees those that it has entered itself, and
no table of the house changes.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple


class Brought(NamedTuple):
    """A function of one's own, and the file by which it came; None for no file."""

    function: Callable[..., Any]
    module: str | None


_OWN: ContextVar[Mapping[str, Mapping[str, Brought]]] = ContextVar(
    "own", default=MappingProxyType({})
)


def own(family: str) -> Mapping[str, Callable[..., Any]]:
    """`{name: function}` that was brought for a family, "model" for one."""
    return {name: b.function for name, b in _OWN.get().get(family, {}).items()}


def module_of(family: str, name: str) -> str | None:
    """The file by which a name came; None where it came by none."""
    return _OWN.get()[family][name].module


@contextlib.contextmanager
def with_own(
    functions: Mapping[str, Mapping[str, Callable[..., Any]]], module: str | None = None
) -> Iterator[None]:
    """Bring names for as long as it is entered, beside those of the blocks around it."""
    both = {family: dict(own) for family, own in _OWN.get().items()}
    for family, added in functions.items():
        news = {name: Brought(function, module) for name, function in added.items()}
        both[family] = both.get(family, {}) | news
    token = _OWN.set(both)
    try:
        yield
    finally:
        _OWN.reset(token)
