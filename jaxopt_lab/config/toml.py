"""TOML to tables, of a file that may come from a stranger."""

import tomllib
from collections.abc import Mapping
from typing import Any

DEEPEST = 32
"""Tables and lists within each other."""


class TomlError(ValueError):
    """What is no TOML, in words."""


def read_toml(text: str) -> dict[str, Any]:
    """The tables of a text, all whole numbers of 64 bits, as the format says.

    Raises:
      TomlError: where it is none, or nests too deep.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(str(error)) from None
    except RecursionError:
        raise TomlError(_TOO_DEEP) from None
    except ValueError:  # of Python's own int, beyond so many digits
        raise TomlError("a whole number has thousands of digits, TOML's are of 64 bits") from None
    _check("", tables, 0)
    return tables


_TOO_DEEP = f"tables or lists are more than {DEEPEST} deep within each other"


def _check(path: str, value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise TomlError(_TOO_DEEP)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        digits = len(str(abs(value)))
        raise TomlError(f"{path} has {digits} digits, and a whole number in TOML has 64 bits")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check(f"{path}.{key}" if path else str(key), item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(path, item, depth + 1)
