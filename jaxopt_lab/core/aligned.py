"""Arrays that a CPU device takes as they lie: data is then in memory once, not twice."""

from typing import Any

import numpy as np

BYTES = 64
"""A multiple of this is where an array has to begin for `jax.device_put` to share its memory."""


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """As of `np.empty`, of a dtype without objects, beginning where a device can share it."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    room = np.empty(size + BYTES, np.uint8)
    begin = -room.ctypes.data % BYTES
    return room[begin : begin + size].view(dtype).reshape(shape)


def rows_of(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`values[rows]` of row numbers of any shape, with memory that a device can share."""
    inside = rows.size and rows.min() >= 0 and rows.max() < len(values)
    if not inside or values.dtype.hasobject or not values.nbytes:
        return values[rows]
    out = empty((*rows.shape, *values.shape[1:]), values.dtype)
    return np.take(values, rows, 0, out=out, mode="clip")  # another mode would fill a copy first


def copy_of(values: Any) -> np.ndarray:
    """What an array, or one that is read as it is indexed, holds, with memory like that."""
    if values.dtype.hasobject or not values.nbytes:
        return np.array(values)
    out = empty(values.shape, values.dtype)
    out[...] = values
    return out
