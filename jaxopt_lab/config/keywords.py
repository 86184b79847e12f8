"""Keyword arguments of Python as the tables of a file."""

import os
from collections.abc import Mapping
from typing import Any

from jaxopt_lab.config.files import make_absolute
from jaxopt_lab.config.sections import LISTS
from jaxopt_lab.config.tables import FAMILIES


def tables_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Tables as `tomllib` gives them, unchecked.

    Args:
      given: by the name of the table: a mapping, the name of its function alone, or a list of
        either where a file may have several. None is left out at any depth.
    """
    tables = {key: _named(key, _plain(value)) for key, value in given.items() if value is not None}
    make_absolute(tables, "")
    return tables


def _named(table: str, value: Any) -> Any:
    """A table with the name of its function for a name alone."""
    if table not in FAMILIES:
        return value
    if isinstance(value, list) and table in LISTS:
        return [_named(table, item) for item in value]
    return {"name": value} if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """A value of Python or NumPy as one of TOML; what is none is left for the checks to refuse."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # NumPy's and JAX's
        return value.tolist()
    return value
