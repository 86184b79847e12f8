"""Rows of arrays that stay where they are: of a mapped file a batch is read at a time."""

import contextlib
import mmap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jaxopt_lab.core import aligned
from jaxopt_lab.core.ahead import Ahead
from jaxopt_lab.core.cast import cast

_CHUNK_BYTES = 32 << 20

# Of rows that are decoded, bytes beyond which workers are worth the seconds that they start in.
_BY_WORKERS = 256 << 20


class Rows:
    """Some rows of an array, read when they are indexed.

    What is indexed is an array in memory; what is only taken, by `take_rows`, is not read.
    """

    def __init__(self, source: Any, rows: np.ndarray | None = None, dtype: Any = None):
        """Point at rows.

        Args:
          source: (N, ...), an array or a `Source` with a shape and a dtype, such as `np.memmap`.
          rows: row numbers of any shape; None for all in their order.
          dtype: that the rows have once they are read; None for the source's.
        """
        self.source = source
        self.rows: np.ndarray = np.arange(len(source)) if rows is None else rows
        self.dtype: np.dtype[Any] = np.dtype(source.dtype if dtype is None else dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the row numbers, then of a row."""
        return (*self.rows.shape, *self.source.shape[1:])

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Of all rows, were they read."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return cast(self.source[self.rows[index]], self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        del copy
        return cast(self[...], dtype or self.dtype)


def is_lazy(values: Any) -> bool:
    """Whether an array is on the disk and read as it is indexed."""
    return isinstance(values, Rows | np.memmap)


def workers_of(values: Any) -> int | None:
    """How many processes decode rows where they are streamed; None for what is only read.

    A source of `Rows` that is streamed says it in an attribute `workers`, and is a `Lent` one.
    """
    return getattr(values.source, "workers", None) if isinstance(values, Rows) else None


def take_rows(values: Any, rows: Any) -> Any:
    """`values[rows]`, without reading what is lazy.

    Args:
      values: (N, ...), in memory or lazy.
      rows: row numbers of any shape, or a slice.
    """
    if isinstance(values, Rows):
        return Rows(values.source, values.rows[rows], values.dtype)
    if is_lazy(values) and not isinstance(rows, slice):
        return Rows(values, rows)
    if isinstance(values, np.ndarray) and isinstance(rows, np.ndarray) and rows.dtype != bool:
        return aligned.rows_of(values, rows)
    return values[rows]


def chunks(values: Any) -> Iterator[np.ndarray]:
    """An array piece by piece along its first axis; of a mapped file one piece is held at a time.

    Args:
      values: (N, ...), in memory or lazy.
    """
    each = max(1, values.nbytes // max(1, len(values)))
    size = max(1, _CHUNK_BYTES // each)
    # In the order of the file, because every page is then read once.
    if isinstance(values, Rows) and values.rows.ndim == 1:
        values = Rows(values.source, np.sort(values.rows), values.dtype)
    pieces = [slice(start, start + size) for start in range(0, len(values), size)]
    for piece in in_turn(values, pieces):
        yield np.asarray(piece)
        _forget(values)


def in_turn(values: Any, indices: Sequence[Any]) -> Iterator[Any]:
    """`values[i]` for each index; what is streamed and large is decoded ahead, by its workers."""
    if not workers_of(values) or values.nbytes <= _BY_WORKERS:
        yield from (values[i] for i in indices)
        return
    with contextlib.closing(read_ahead(values, indices)) as ahead:
        yield from ahead


def read_ahead(values: Any, indices: Sequence[Any]) -> Ahead:
    """`values[i]` for each index, read before it is asked for; what is streamed by its workers.

    Args:
      values: (N, ...), in memory or lazy.
      indices: row numbers or slices, of which each takes one row or more.
    """
    workers = workers_of(values)
    if not workers:
        return Ahead(values, indices)
    return Ahead(values.source, [values.rows[i] for i in indices], workers)


def bounds(values: Any) -> tuple[float, float]:
    """The least and the largest value; NaN where there is one."""
    found = [(piece.min(), piece.max()) for piece in chunks(values)]
    low, high = (np.array(ends) for ends in zip(*found, strict=True))
    return float(low.min()), float(high.max())


def _forget(values: Any) -> None:
    """Let go of the pages that were read: they would count as this process's memory."""
    source = values.source if isinstance(values, Rows) else values
    mapped = getattr(source, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        with contextlib.suppress(OSError, ValueError):
            mapped.madvise(mmap.MADV_DONTNEED)
