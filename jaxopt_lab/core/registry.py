"""Names to functions, with the nearest known name where one is unknown."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxopt_lab.core.errors import InputError


def nearest(name: str, known: Iterable[str]) -> str:
    """`", did you mean 'adam'?"`, or nothing where no known name is near."""
    by_letters = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), list(by_letters), n=1, cutoff=0.5)
    return f", did you mean {by_letters[close[0]]!r}?" if close else ""


def lookup(table: Mapping[str, Callable[..., Any]], name: str, kind: str) -> Callable[..., Any]:
    """The entry of a family's table.

    Raises:
      InputError: naming the nearest known name and all that there are.
    """
    if name in table:
        return table[name]
    raise InputError(
        f"unknown {kind} {name!r}{nearest(name, table)}; one of {', '.join(sorted(table))}"
    )
