"""`.npz` files that this package wrote, read as if they came from a stranger.

Nothing is unpickled, and nothing is allocated that the file does not hold: its arrays are stored as
they are, uncompressed, so that none is larger than the file.
"""

import contextlib
import math
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib import format as npy


@contextlib.contextmanager
def opened_npz(path: str | os.PathLike[str]) -> Iterator[Any]:
    """The arrays of a file by their names, each read when it is asked for.

    Raises:
      ValueError: where the file is none of these: compressed, or of arrays that claim to be larger
        than it is.
      OSError, zipfile.BadZipFile: where it cannot be read.
    """
    with np.load(path, allow_pickle=False) as file:
        for member in file.zip.infolist():
            _require_bounded(file.zip, member)
        yield file


def _require_bounded(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed, and was not written so")
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in read:
            raise ValueError(f"{member.filename} is of format {version}, and was not written so")
        shape, _, dtype = read[version](stream)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} claims {shape} {dtype}, more than the file holds")
