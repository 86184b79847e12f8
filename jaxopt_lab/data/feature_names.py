"""The names of the columns of x that a table became."""

from collections.abc import Mapping, Sequence
from typing import Any

Column = Mapping[str, Any]
"""A column of a table, as `encoding.py` describes it."""


def feature_names(columns: Sequence[Column]) -> tuple[str, ...]:
    """The name of each column of x: "age", "sex=f", "sex=m"."""
    names: list[str] = []
    for column in columns:
        values = column.get("values")
        name = column["name"]
        names += [name] if values is None else [f"{name}={value}" for value in values]
    return tuple(names)
