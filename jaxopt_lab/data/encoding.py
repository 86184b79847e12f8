"""How the columns of a table become numbers, so that rows of another table become the same.

A column is a plain mapping, which JSON can hold:

    {"name": "age", "kind": "number"}
    {"name": "sex", "kind": "category", "values": ["f", "m"]}

A number is one column of x, true and false 1 and 0; a category is one column a value, 1 where it
has that value and 0 elsewhere, all 0 where it is missing.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from jaxopt_lab.core.cores import usable_cores
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.arrays import brief_list
from jaxopt_lab.data.feature_names import Column, feature_names
from jaxopt_lab.data.natural_order import natural_key
from jaxopt_lab.data.tables import Source

MOST_VALUES = 1000
"""Of a column of text that is not named among the categories."""

_BLOCK = 1 << 19  # numbers that are converted together, so that they stay in the cache
_EXACT = 2**24  # up to which float32 holds every whole number


def column_of(name: str, values: Any, source: Source, *, category: bool) -> Column:
    """What a column of a table becomes.

    Args:
      name: of the column.
      values: a `pyarrow.ChunkedArray`.
      source: is named in what is wrong.
      category: whether it is one, whatever it holds; text is one in any case.

    Raises:
      InputError: a date or another kind that is no number; text in a column of numbers; too many
        values.
    """
    import pyarrow as pa

    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    where = f"{source.path}: column {name!r}"
    if not category and _is_number(kind):
        return {"name": name, "kind": "number"}
    if not (_is_text(kind) or (category and _is_number(kind))):
        raise InputError(
            f"{where} holds {kind}: leave it out, drop = [{name!r}], or make numbers of it"
        )
    found = as_text(values).unique().drop_null().to_pylist()
    if not category:
        numbers = [text for text in found if _is_numeric(text)]
        if 2 * len(numbers) >= len(found) > 0:
            odd = next(text for text in found if not _is_numeric(text))
            row = as_text(values).index(odd).as_py()
            raise InputError(
                f"{where} holds {odd!r} among numbers, on {source.place(row)}: mend it, or "
                f"categories = [{name!r}]"
            )
        if len(found) > MOST_VALUES:
            raise InputError(
                f"{where} holds {len(found):,} different texts: leave it out, drop = [{name!r}], "
                f"or categories = [{name!r}] if each is to be a column"
            )
    return {"name": name, "kind": "category", "values": sorted(found, key=natural_key)}


def encode(columns: Sequence[Column], table: Any, source: Source, *, missing: bool) -> np.ndarray:
    """Rows of a table as x, (N, F) float32, with NaN where a number is missing.

    Args:
      columns: from `column_of`, perhaps of another table.
      table: a `pyarrow.Table` with these columns.
      source: is named in what is wrong.
      missing: whether values may be.

    Raises:
      InputError: naming the column and the line of a value that is missing, infinite, no number, or
        no value of its category.
    """
    x = np.zeros((table.num_rows, len(feature_names(columns))), np.float32)
    numbers: list[tuple[int, str, Any]] = []
    start = 0
    for column in columns:
        name, values = column["name"], table.column(column["name"])
        if column["kind"] == "number":
            numbers.append((start, name, _floats(values, name, source)))
            start += 1
            continue
        places = _places(column, values, source, missing=missing)
        known = np.flatnonzero(places >= 0)
        x[known, start + places[known]] = 1
        start += len(column["values"])
    _write_numbers(x, numbers, source, missing=missing)
    return x


def as_text(values: Any) -> Any:
    """A column as text: of numbers and booleans as they are written."""
    import pyarrow as pa

    pc = _compute()

    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    return values if values.type == pa.string() else pc.cast(values, pa.string())


def require_values(values: Any, name: str, source: Source, remedy: str) -> None:
    """Make sure that no value of a column is missing.

    Raises:
      InputError: naming the column and the line of the first.
    """
    pc = _compute()

    if values.null_count:
        row = pc.index(pc.is_null(values), True).as_py()
        raise InputError(_missing(source, name, row, remedy))


_REMEDY = 'mend it, leave the column out, or missing = "mean"'


def _missing(source: Source, name: str, row: int, remedy: str = _REMEDY) -> str:
    return f"{source.path}: column {name!r} has no value on {source.place(row)}: {remedy}"


def _compute() -> Any:
    """Arrow's functions, which are made when it is imported."""
    import pyarrow.compute

    return pyarrow.compute


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return any(test(kind) for test in tests)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _is_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _floats(values: Any, name: str, source: Source) -> Any:
    """A column as one that NumPy takes as numbers."""
    import pyarrow as pa

    pc = _compute()

    if not _is_number(values.type):
        raise InputError(f"{source.path}: column {name!r} holds {values.type}, expected numbers")
    plain = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    return values if plain else pc.cast(values, pa.float64())


def _places(column: Column, values: Any, source: Source, *, missing: bool) -> np.ndarray:
    """The place of each row's value among the values of a category, -1 where it is missing."""
    import pyarrow as pa

    pc = _compute()

    if not missing:
        require_values(values, column["name"], source, _REMEDY)
    texts = as_text(values)
    places = pc.index_in(texts, value_set=pa.array(column["values"], pa.string()))
    unknown = pc.and_(pc.is_null(places), pc.is_valid(texts))
    row = pc.index(unknown, True).as_py()
    if row >= 0:
        raise InputError(
            f"{source.path}: column {column['name']!r} holds {texts[row].as_py()!r} on "
            f"{source.place(row)}, which training has not; there: {brief_list(column['values'])}"
        )
    return pc.fill_null(places, -1).to_numpy()


def _write_numbers(
    x: np.ndarray, numbers: Sequence[tuple[int, str, Any]], source: Source, *, missing: bool
) -> None:
    """Columns of numbers into x, block by block, each looked at while it is in the cache."""
    import pyarrow as pa

    if not numbers:
        return
    rows = pa.table([values for _, _, values in numbers], [name for _, name, _ in numbers])
    # Of which each column is a part of the table's, without a copy.
    batches = rows.to_batches(max_chunksize=max(1, _BLOCK // len(numbers)))
    ends = np.cumsum([batch.num_rows for batch in batches], dtype=np.int64)

    def write(batch: Any, end: int) -> bool:
        """Whether all is finite."""
        block = x[end - batch.num_rows : end]
        with np.errstate(over="ignore"):  # what float32 does not hold is infinite, and told
            for (place, _, _), values in zip(numbers, batch.columns, strict=True):
                block[:, place] = values.to_numpy(zero_copy_only=False)
        return bool(np.isfinite(block).all())

    with ThreadPoolExecutor(min(8, usable_cores())) as pool:
        finite = list(pool.map(write, batches, ends))
    for batch, end, fine in zip(batches, ends, finite, strict=True):
        if fine:
            continue
        begin = int(end) - batch.num_rows
        block = x[begin:end]
        for place, name, _ in numbers:
            values = block[:, place]
            wrong = np.flatnonzero(np.isinf(values) if missing else ~np.isfinite(values))
            if not len(wrong):
                continue
            row = begin + int(wrong[0])
            if np.isnan(values[wrong[0]]):
                raise InputError(_missing(source, name, row))
            raise InputError(
                f"{source.path}: column {name!r} holds a number that is infinite, or beyond "
                f"float32, on {source.place(row)}: mend it"
            )


def rounded_columns(columns: Sequence[Column], table: Any) -> list[str]:
    """The columns of whole numbers that float32 does not hold exactly."""
    import pyarrow as pa

    pc = _compute()

    found = []
    for column in columns:
        values = table.column(column["name"])
        if column["kind"] == "number" and pa.types.is_integer(values.type):
            ends = pc.min_max(values).as_py()
            if max(abs(ends["min"] or 0), abs(ends["max"] or 0)) > _EXACT:
                found.append(column["name"])
    return found
