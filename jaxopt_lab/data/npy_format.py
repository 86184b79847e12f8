"""NumPy's file formats, read as data only: headers are held to the file before memory is given.

An `.npy` file is a magic number, a header with dtype and shape, then the values. An `.npz` file is
a zip of them. NumPy maps the former and not the latter; a member that is stored, as `np.savez`
does, lies in the zip as it is and is mapped here by its place in the file.
"""

import os
import struct
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.lib import format as npy

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.memory import IN_MEMORY, require_memory
from jaxopt_lab.core.npz import ENCRYPTED, NO_ZIP
from jaxopt_lab.data.bounded import read_exactly

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # magic, ..., bytes of the name, bytes of the extra field
_COMPRESSED_SHARE = 0.25  # of the machine's memory
_DAMAGED = (*NO_ZIP, ValueError, RuntimeError)
_KINDS = {"O": "Python objects", "V": "records", "c": "complex numbers", "M": "dates", "m": "times"}


class Header(NamedTuple):
    """Of an array in a file.

    Attributes:
      shape, dtype: of the array.
      size: bytes of the header itself.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    size: int

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        count = 1
        for size in self.shape:  # Python's own whole numbers: a claim may be beyond int64
            count *= size
        return count * self.dtype.itemsize


def read_npy(path: str | os.PathLike[str], name: str) -> np.ndarray:
    """The array of an `.npy` file; mapped where it is large.

    Args:
      path: of the file.
      name: what the array is, for messages.

    Raises:
      InputError: no such file, no `.npy` file, damaged, or of a dtype that no data has.
    """
    where = f"{name}: {os.fspath(path)}"
    with _opened(path, where) as file:
        header = _read_header(file, where)
        found = os.fstat(file.fileno()).st_size - header.size
        _require_size(header, found, where)
        if header.nbytes > IN_MEMORY:
            return _mapped(path, header, header.size)
        return _values(file, header, where)


def read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by their names; large ones that are stored are mapped.

    Raises:
      InputError: no such file, no `.npz` file, damaged, of a dtype that no data has, or compressed
        and too large for the memory.
    """
    where = os.fspath(path)
    with _opened(path, where) as file:
        if not zipfile.is_zipfile(file):
            raise InputError(f"{where}: no .npz file; write it with numpy.savez(path, x=x, y=y)")
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            names = [m.filename.removesuffix(".npy") for m in members]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise InputError(f"{where}: holds {', '.join(twice)} twice; write it again")
            return {
                name: _read_member(path, file, archive, member, f"{where}: {name}")
                for name, member in zip(names, members, strict=True)
            }


def _read_member(
    path: str | os.PathLike[str],
    file: BinaryIO,
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    where: str,
) -> np.ndarray:
    if member.flag_bits & ENCRYPTED:
        raise InputError(f"{where}: encrypted; write it again without a password")
    with archive.open(member) as stream:
        header = _read_header(stream, where)
        _require_size(header, member.file_size - header.size, where)
        if header.nbytes > IN_MEMORY and member.compress_type == zipfile.ZIP_STORED:
            return _mapped(path, header, _place(file, member, where) + header.size)
        if member.compress_type != zipfile.ZIP_STORED:
            remedy = "numpy.savez, which does not compress, makes a file that is mapped"
            require_memory(f"{where}: compressed, it", header.nbytes, _COMPRESSED_SHARE, remedy)
        return _values(stream, header, where)


def _place(file: BinaryIO, member: zipfile.ZipInfo, where: str) -> int:
    """Where in the zip the bytes of a stored member begin: after the header before them."""
    file.seek(member.header_offset)
    magic, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if magic != b"PK\x03\x04":
        raise InputError(f"{where}: the zip is damaged; write it again")
    return member.header_offset + _LOCAL_HEADER.size + name + extra


@contextmanager
def _opened(path: str | os.PathLike[str], where: str) -> Iterator[BinaryIO]:
    """The file; what goes wrong in reading it is an InputError."""
    if not Path(path).is_file():
        found = "a folder" if Path(path).is_dir() else "no such file"
        raise InputError(f"{where}: {found}; give the path of a file")
    try:
        with open(path, "rb") as file:
            yield file
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(f"{where}: damaged: {error}; write it again") from None
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror or error}") from None


def _read_header(stream: Any, where: str) -> Header:
    """The header of an array, from a stream at its beginning."""
    counted = _Counted(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            version = npy.read_magic(cast(Any, counted))
            if version not in read:  # 3.0 is of records with names beyond latin-1
                raise InputError(f"{where}: holds records, expected numbers: save plain arrays")
            shape, fortran, dtype = read[version](cast(Any, counted))
    except (InputError, *NO_ZIP, OSError):
        raise
    except Exception as error:  # whatever NumPy's parser says of a damaged header
        brief = str(error).partition("\n")[0]
        raise InputError(
            f"{where}: no array of NumPy ({brief}); write it with numpy.save"
        ) from None
    if dtype.hasobject or dtype.kind in _KINDS:
        kind = "O" if dtype.hasobject else dtype.kind
        raise InputError(
            f"{where}: holds {_KINDS[kind]} ({dtype}), which are not read: save numbers or text, "
            'x.astype("float32") for one'
        )
    if fortran and len(shape) > 1:
        raise InputError(
            f"{where}: in Fortran order, whose rows lie scattered: save numpy.ascontiguousarray(x)"
        )
    if shape and shape[0] == 0:
        raise InputError(f"{where}: holds no rows, its shape is {shape}")
    return Header(shape, dtype, counted.count)


class _Counted:
    """A stream that counts what was read of it."""

    def __init__(self, stream: Any):
        self._stream, self.count = stream, 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        return data


def _require_size(header: Header, found: int, where: str) -> None:
    if header.nbytes != found:
        raise InputError(
            f"{where}: damaged: shape {header.shape} of {header.dtype} is {header.nbytes:,} bytes, "
            f"the file has {found:,} of it; write it again"
        )


def _values(stream: Any, header: Header, where: str) -> np.ndarray:
    data = read_exactly(stream, header.nbytes, where)
    if stream.read(1):  # at the end of a member a zip compares its checksum
        raise InputError(f"{where}: longer than its header says; write it again")
    return data.view(header.dtype).reshape(header.shape)


def _mapped(path: str | os.PathLike[str], header: Header, offset: int) -> np.memmap:
    return np.memmap(path, header.dtype, "r", offset, header.shape)
