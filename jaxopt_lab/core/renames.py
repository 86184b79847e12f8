"""Arguments that had another name: an old one is told its new name, and is no synonym."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def renamed(**names: str) -> Callable[[F], F]:
    """Declare the old names of a function's arguments: `renamed(beta1="b1")`.

    Under `checked`, which refuses an old name in a call; a configuration refuses it likewise.
    """

    def decorate(function: F) -> F:
        function.__dict__["renamed"] = names
        return function

    return decorate


def renames_of(function: Callable[..., Any]) -> Mapping[str, str]:
    """`{old name: new name}` of the arguments of a function."""
    return getattr(function, "__dict__", {}).get("renamed", {})
