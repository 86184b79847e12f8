"""Reading files that may be damaged or hostile: no more is read, or held, than a bound allows."""

import contextlib
import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from jaxopt_lab.core.errors import InputError

_CHUNK = 1 << 20  # bytes given to one read
_GZIP_MAGIC = b"\x1f\x8b"
# tarfile raises a ValueError on fields that are no numbers, and a RecursionError on long chains of
# headers.
_DAMAGED = (gzip.BadGzipFile, zlib.error, tarfile.TarError, ValueError, RecursionError)


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes: ...

    def readinto(self, buffer: memoryview, /) -> int | None: ...


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Readable]:
    """Open a file, through gzip where its first bytes say so; any failure is an InputError.

    The failures of whatever reads the stream inside the `with` are included.

    Args:
      path: the file.

    Raises:
      InputError: no regular file, not readable, damaged gzip or tar.
    """
    if not os.path.isfile(path):
        found = "a folder" if os.path.isdir(path) else "something that is no file"
        raise InputError(f"{path}: expected a file, found {found}. Put the published file there.")
    try:
        with open(path, "rb") as file:
            if file.peek(2)[:2] == _GZIP_MAGIC:
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream
            else:
                yield file
    except EOFError as error:
        raise InputError(f"{path}: the gzip file is cut short. Fetch it again.") from error
    except InputError:
        raise
    except _DAMAGED as error:
        raise InputError(f"{path}: the archive is damaged ({error}). Fetch it again.") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}). Make it readable."
        ) from error


def read_exactly(stream: Readable, size: int, path: Path | str) -> np.ndarray:
    """The next `size` bytes of a stream, (size,) uint8; the caller has checked `size` itself.

    Raises:
      InputError: the stream ends before.
    """
    data = np.empty(size, np.uint8)
    view, filled = data.data, 0
    while filled < size:
        count = stream.readinto(view[filled : filled + _CHUNK])
        if not count:
            raise InputError(
                f"{path}: cut short: expected {size:,} bytes of data, got {filled:,}. "
                "Fetch it again."
            )
        filled += count
    return data
