"""`.npz` files that this package wrote, read as if they came from a stranger.

Nothing is unpickled, and nothing is allocated that the file does not hold: its arrays are stored as
they are, uncompressed, so that none is larger than the file.
"""

import contextlib
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

ENCRYPTED = 0x1
"""A flag of a member."""

NO_ZIP: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ArithmeticError,
    NotImplementedError,
)
"""What Python says of zips that are none, beside a ValueError, as of a name that is no UTF-8."""

with contextlib.suppress(ImportError):  # a Python without it
    import lzma

    NO_ZIP += (lzma.LZMAError,)


@contextlib.contextmanager
def opened_npz(path: str | os.PathLike[str]) -> Iterator[Any]:
    """The arrays of a file by their names, each read when it is asked for.

    Raises:
      ValueError: where the file is none of these: damaged, compressed, or of arrays that claim to
        be larger than it is.
      OSError: where it cannot be read.
    """
    try:
        with open(path, "rb") as opened, _loaded(opened) as file:
            for member in file.zip.infolist():
                _require_bounded(file.zip, member)
            yield file
    except NO_ZIP as error:
        raise ValueError(f"damaged: {error}") from error


def _loaded(opened: BinaryIO) -> Any:
    file = np.load(opened, allow_pickle=False)
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise ValueError("no .npz file, but one array")
    return file


def _require_bounded(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed, and was not written so")
    if member.flag_bits & ENCRYPTED:
        raise ValueError(f"{member.filename} is encrypted, and was not written so")
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in read:
            raise ValueError(f"{member.filename} is of format {version}, and was not written so")
        try:
            shape, _, dtype = read[version](stream)
        except NO_ZIP:
            raise
        except Exception as error:  # whatever NumPy's parser says of a damaged header
            raise ValueError(f"{member.filename} has no header of an array: {error}") from error
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} claims {shape} {dtype}, more than the file holds")
