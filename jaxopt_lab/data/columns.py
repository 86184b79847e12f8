"""Columns that Python has in hand, as an Arrow table: a mapping, rows, a frame of pandas or Polars.

What a run on a table is applied to need not be a file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.data.encoding import Column
from jaxopt_lab.data.tables import Source


def is_columns(given: Any) -> bool:
    """Whether something has columns by name: a mapping, rows as mappings, a table, a frame."""
    if isinstance(given, Mapping) or hasattr(given, "column_names"):
        return True
    if isinstance(given, list | tuple):
        return bool(given) and isinstance(given[0], Mapping)
    return hasattr(given, "columns") and hasattr(given, "__getitem__")


def table_of(
    columns: Sequence[Column], given: Any, where: str, first: int = 0
) -> tuple[Any, Source]:
    """The columns that a network wants as a `pyarrow.Table`; others are left out.

    Args:
      columns: as of `encoding.column_of`.
      given: `{name: values of all rows}`; a sequence of rows, `{name: value}` each; a
        `pyarrow.Table`; a frame of pandas or Polars.
      where: is named in what is wrong.
      first: number of the first row, there.

    Returns:
      The table and its source, as `encoding.encode` wants them.

    Raises:
      InputError: where a column is not there, holds what Arrow does not read, or is not as long as
        the others.
    """
    require("pyarrow", "table")
    import pyarrow as pa

    if hasattr(given, "to_arrow"):  # Polars
        given = given.to_arrow()
    wanted = [column["name"] for column in columns]
    if isinstance(given, list | tuple):
        for number, row in enumerate(given, start=first):
            place = f"columns on row {number:,}"
            Source(where, tuple(row), None).require(
                wanted, place
            )  # null is a value that is missing
        given = {name: [row[name] for row in given] for name in wanted}
    names = getattr(given, "column_names", getattr(given, "columns", given))
    source = Source(where, tuple(map(str, names)), None, first=first)
    source.require(wanted, "columns")
    try:
        arrays = {c["name"]: _array(given[c["name"]], c, where) for c in columns}
        return pa.table(arrays), source
    except pa.ArrowInvalid as error:
        raise InputError(f"{where}: no table: {_brief(error)}") from None


def _array(values: Any, column: Column, where: str) -> Any:
    import pyarrow as pa

    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise InputError(
            f"{where}: column {column['name']!r} must be a list of values, one a row, got "
            f"{values!r:.60}"
        )
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError) as error:
        if column["kind"] == "category" and isinstance(values, list):
            return pa.array([_text(value) for value in values], pa.string())  # 1 beside "1"
        raise InputError(f"{where}: column {column['name']!r}: {_brief(error)}") from None


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _brief(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
