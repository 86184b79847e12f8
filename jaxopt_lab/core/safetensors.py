"""Files of named arrays in the format of safetensors: written, and read by their bounded header.

1. 8 bytes, little-endian: the length N of the header.
2. N bytes of JSON: `{name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": ...}`.
3. The arrays in C order, one after another, at these offsets from here.

Reference: https://huggingface.co/docs/safetensors, section Format.
"""

import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import written_atomically

_MOST_HEADER = 100_000_000  # bytes, as the library has it
_DTYPES = {
    "BOOL": np.bool_,
    **{f"{kind.upper()}{n}": f"{kind}{n // 8}" for kind in "ui" for n in (8, 16, 32, 64)},
    **{f"F{n}": f"f{n // 8}" for n in (16, 32, 64)},
    "BF16": jnp.bfloat16,
    "F8_E4M3": jnp.float8_e4m3fn,
    "F8_E5M2": jnp.float8_e5m2,
}


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a file by their names, in its order.

    Args:
      path: of a `.safetensors` file.

    Raises:
      InputError: where it cannot be read, is damaged or cut short, or holds a dtype that there is
        not; no more is read than the file holds.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path}: cannot be read: no regular file")
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(_MOST_HEADER, size - 8):
                raise _damaged(path, f"a header of {length:,} bytes in a file of {size:,}")
            header = file.read(length)
            entries = _entries(path, header, size - 8 - length)
            return {name: _read(file, 8 + length, *entry) for name, entry in entries.items()}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts that a file of `write_safetensors` has beside its arrays.

    Raises:
      InputError: as `read_safetensors`, which has to have read it.
    """
    with open(path, "rb") as file:
        header = file.read(min(int.from_bytes(file.read(8), "little"), _MOST_HEADER))
    found = json.loads(header).get("__metadata__", {})
    return {str(name): str(text) for name, text in found.items()}


def write_safetensors(
    path: pathlib.Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write arrays by their names; the file is read back, and is whole or not there.

    Args:
      path: of the file.
      arrays: in whatever memory order; they are written in C order.
      metadata: texts by name.

    Raises:
      InputError: where one is of a dtype that the format has not, which is named.
      OSError: where the disk does not take it, or gives back other bits.
    """
    names = {np.dtype(kind): name for name, kind in _DTYPES.items()}
    for name, array in arrays.items():
        if array.dtype not in names:
            known = ", ".join(str(kind) for kind in names)
            raise InputError(f"{path}: {name!r} is {array.dtype}, the format has {known}")
    # The widest first, so that each begins at a multiple of its own width.
    order = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in order:
        array = arrays[name]
        begin, end = end, end + array.nbytes
        offsets = {"shape": list(array.shape), "data_offsets": [begin, end]}
        header[name] = {"dtype": names[array.dtype]} | offsets
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MOST_HEADER:
        raise InputError(f"{path}: its names and texts take {len(text):,} bytes, too many")
    with written_atomically(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(_bits(arrays[name]))
        file.flush()
        back = read_safetensors(file.name)
        for name, array in arrays.items():
            same = (back[name].shape, back[name].dtype) == (array.shape, array.dtype)
            if not same or _bits(back[name]) != _bits(array):
                raise OSError(f"{path}: {name} was read back with other bits than it was written")


def _bits(array: np.ndarray) -> bytes:
    """The values in C order, little-endian."""
    plain = array.dtype.kind in "iuf"
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<") if plain else None).tobytes()


def _entries(
    path: pathlib.Path, header: bytes, size: int
) -> dict[str, tuple[np.dtype, tuple[int, ...], int]]:
    """The dtype, the shape and the offset of each array, held to the size of the data."""
    try:
        named = json.loads(header, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is no JSON: {error}") from None
    if not isinstance(named, dict):
        raise _damaged(path, "its header names no arrays")
    found, spans = {}, []
    for name, entry in named.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape = str(entry["dtype"]), tuple(entry["shape"])
            begin, end = entry["data_offsets"]
            whole = all(type(n) is int and n >= 0 for n in (*shape, begin, end))
        except (KeyError, TypeError, ValueError):
            raise _damaged(path, f"its header says of {name!r} {str(entry)[:80]}") from None
        if dtype not in _DTYPES:
            raise InputError(
                f"{path}: {name!r} is of dtype {dtype!r}, expected one of {', '.join(_DTYPES)}"
            )
        kind = np.dtype(_DTYPES[dtype])
        if not whole or end - begin != math.prod(shape) * kind.itemsize or end > size:
            raise _damaged(path, f"{name!r}, {dtype} {shape}, does not lie at {[begin, end]}")
        found[name] = (kind, shape, begin)
        spans.append((begin, end))
    ends = [0, *(end for _, end in sorted(spans))]
    if [begin for begin, _ in sorted(spans)] != ends[:-1] or ends[-1] != size:
        raise _damaged(path, "its arrays overlap, leave holes or are cut short")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, whose names differ."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name is there twice")
    return dict(pairs)


def _read(file: Any, start: int, dtype: np.dtype, shape: tuple[int, ...], at: int) -> np.ndarray:
    file.seek(start + at)
    count = math.prod(shape)
    raw = np.fromfile(file, np.uint8, count * dtype.itemsize)
    return raw.view(dtype.newbyteorder("<") if dtype.kind in "iuf" else dtype).reshape(shape)


def _damaged(path: pathlib.Path, what: str) -> InputError:
    return InputError(f"{path}: no safetensors file, or a damaged one: {what}")
