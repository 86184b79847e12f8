"""CSV and Parquet files as Arrow tables: the columns that are asked for, and where a row lies."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.data.arrays import brief_list

_TEXT = {".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET = (".parquet", ".pq")
SUFFIXES = (*_TEXT, *_PARQUET)
"""Of the files that are tables."""

_OTHER_SEPARATORS = (";", "\t", "|", ",")


class Source(NamedTuple):
    """A table on the disk.

    Attributes:
      path: of the file.
      names: of its columns.
      separator: between values of a row of text; None for Parquet.
      encoding: of text.
      first: the number of the row that rows are counted from, where this is a piece of a table.
    """

    path: str
    names: tuple[str, ...]
    separator: str | None
    encoding: str = "utf-8"
    first: int = 0

    def place(self, row: int) -> str:
        """Where a row, from 0, lies: "line 7", counted from 1 with the header, or "row 5"."""
        if self.separator is None:
            return f"row {self.first + row:,}"
        for count, (line, _) in enumerate(_rows(self)):
            if count == row + 1:  # after the header
                return f"line {line}"
        return f"row {row}"

    def require(self, names: Sequence[str], what: str) -> None:
        """Make sure that columns are there.

        Raises:
          InputError: naming the nearest one.
        """
        for name in names:
            if name not in self.names:
                raise InputError(
                    f"{self.path}: {what}: there is no column {name!r}{nearest(name, self.names)}; "
                    f"there: {brief_list(self.names, 20)}"
                )


def find_columns(path: str | os.PathLike[str], separator: str | None = None) -> Source:
    """The columns of a table, without its rows.

    Raises:
      InputError: no such file, of another kind, empty, or with columns that share a name.
    """
    where, kind = os.fspath(path), Path(path).suffix.lower()
    if kind not in SUFFIXES:
        kinds = ", ".join(SUFFIXES)
        raise InputError(f"{where}: a table is read from {kinds}, got {kind or 'no suffix'!r}")
    if not os.path.isfile(where):
        found = "a folder" if os.path.isdir(where) else "no such file"
        raise InputError(f"{where}: {found}; give the path of a table")
    require("pyarrow", "table")
    if kind in _PARQUET:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            names = pq.read_schema(where).names
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{where}: no Parquet file, or damaged: {_brief(error)}") from None
        source = Source(where, tuple(names), None)
    else:
        source = _of_text(where, separator or _TEXT[kind])
    names = source.names
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{where}: two columns are called {twice[0]!r}: give each its own name")
    if "" in names:
        raise InputError(
            f"{where}: column {names.index('') + 1} has no name: give it one (an index that pandas "
            "wrote is left out by index=False)"
        )
    return source


def read_columns(
    source: Source, names: Sequence[str], text: Sequence[str] = (), decimal: str = "."
) -> Any:
    """Columns of a table as a `pyarrow.Table`, in this order.

    Args:
      source: from `find_columns`.
      names: of the columns.
      text: those that are text, whatever is in them.
      decimal: the point of numbers in text.

    Raises:
      InputError: where a row has more or fewer values than the header, naming its line; where
        there is no row.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(names))
    try:
        if source.separator is None:
            found = pq.read_table(source.path, columns=names)
        else:
            found = pyarrow.csv.read_csv(source.path, *_options(source, names, text, decimal))
    except (pa.ArrowException, OSError) as error:
        raise InputError(_why(source, error)) from None
    if not found.num_rows:
        raise InputError(f"{source.path}: holds no rows, only the names of its columns")
    return found


def stream_columns(source: Source, names: Sequence[str], rows: int) -> Iterator[Any]:
    """Columns of a table as `pyarrow.Table`s of some rows each, one after another.

    Of a file of text every column is text: what a number is cannot change from piece to piece.

    Args:
      source: from `find_columns`.
      names: of the columns.
      rows: at most so many a piece.

    Raises:
      InputError: as `read_columns`, when it comes to that piece.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(names))
    try:
        if source.separator is None:
            with pq.ParquetFile(source.path) as file:
                for batch in file.iter_batches(rows, columns=names):
                    yield pa.Table.from_batches([batch])
            return
        with pyarrow.csv.open_csv(source.path, *_options(source, names, names)) as reader:
            for batch in reader:
                for at in range(0, batch.num_rows, rows):
                    yield pa.Table.from_batches([batch.slice(at, rows)])
    except (pa.ArrowException, OSError) as error:
        raise InputError(_why(source, error)) from None


def _options(source: Source, names: Sequence[str], text: Sequence[str], decimal: str = ".") -> Any:
    """How Arrow reads a file of text."""
    import pyarrow as pa
    import pyarrow.csv

    return (
        pyarrow.csv.ReadOptions(encoding=source.encoding),
        pyarrow.csv.ParseOptions(delimiter=source.separator, newlines_in_values=True),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(text, pa.string()),
            include_columns=names,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            decimal_point=decimal,
        ),
    )


def _of_text(where: str, separator: str) -> Source:
    """The header of a file of text, in UTF-8 or else in latin-1."""
    if len(separator) != 1:
        raise InputError(f"{where}: separator must be one character, got {separator!r}")
    source = Source(where, (), separator)
    try:
        with open(where, encoding="utf-8-sig", newline="") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        source = source._replace(encoding="latin-1")
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror or error}") from None
    _, header = next(_rows(source), (0, None))
    if header is None:
        raise InputError(f"{where}: empty; its first line must name the columns")
    others = [s for s in _OTHER_SEPARATORS if s != separator and s in header[0]]
    if len(header) == 1 and others:
        raise InputError(
            f"{where}: the header is one column, {header[0]!r}: is the separator another? "
            f"separator = {others[0]!r}"
        )
    return source._replace(names=tuple(header))


def _rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    """The line at which each row of text ends, from 1, and its values; empty lines are none."""
    encoding = "utf-8-sig" if source.encoding == "utf-8" else source.encoding
    with open(source.path, encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=source.separator or ",")
        try:
            for row in reader:
                if row:
                    yield reader.line_num, row
        except csv.Error as error:
            raise InputError(f"{source.path}: line {reader.line_num}: {error}") from None


def _why(source: Source, error: Exception) -> str:
    """What is wrong with a file, by line where it is a row."""
    if source.separator is not None:
        for line, row in _rows(source):
            if len(row) != len(source.names):
                return (
                    f"{source.path}: line {line} has {len(row)} values, the header names "
                    f"{len(source.names)}: mend it, or quote values that hold {source.separator!r}"
                )
    return f"{source.path}: cannot be read as a table: {_brief(error)}"


def _brief(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
