"""TOML to tables, of a file that may come from a stranger."""

import tomllib
from collections.abc import Mapping
from typing import Any

DEEPEST = 32
"""Tables and lists within each other."""


class TomlError(ValueError):
    """What is no TOML, in words."""


class TooLargeError(TomlError):
    """What is TOML, and more than is read."""


def read_toml(text: str) -> dict[str, Any]:
    """The tables of a text.

    Raises:
      TomlError: where it is none.
      TooLargeError: where it nests too deep, or a number has thousands of digits.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(str(error)) from None
    except RecursionError:
        raise TooLargeError(_TOO_DEEP) from None
    except ValueError:  # of Python's own int
        raise TooLargeError("a whole number has thousands of digits") from None
    if _depth(tables) > DEEPEST:
        raise TooLargeError(_TOO_DEEP)
    return tables


_TOO_DEEP = f"tables or lists are more than {DEEPEST} deep within each other"


def _depth(value: Any) -> int:
    inner = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(inner, list):
        return 0
    return 1 + max(map(_depth, inner), default=0)
