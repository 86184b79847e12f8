"""How the columns of a table become numbers, so that rows of another table become the same.

A column is a plain mapping, which JSON can hold:

    {"name": "age", "kind": "number"}
    {"name": "sex", "kind": "category", "values": ["f", "m"]}

A number is one column of x, true and false 1 and 0; a category is one column a value, 1 where it
has that value and 0 elsewhere, all 0 where it is missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Column = Mapping[str, Any]
"""A column of a table, as above."""


def feature_names(columns: Sequence[Column]) -> tuple[str, ...]:
    """The name of each column of x: "age", "sex=f", "sex=m"."""
    names: list[str] = []
    for column in columns:
        values = column.get("values")
        name = column["name"]
        names += [name] if values is None else [f"{name}={value}" for value in values]
    return tuple(names)
