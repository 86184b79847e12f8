"""Files that are whole or not there, and the SHA-256 by which a reader knows."""

import contextlib
import errno
import hashlib
import os
import pathlib
from collections.abc import Iterator
from typing import BinaryIO


def sha256_of(path: pathlib.Path) -> str:
    """The SHA-256 of a file, in hex.

    Raises:
      OSError: also where it is none: a device or a pipe may give bytes for ever.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no regular file", str(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: pathlib.Path, content: bytes) -> None:
    """Write to a temporary name beside `path`, sync, rename: the file is whole or not there."""
    with written_atomically(path) as file:
        file.write(content)


@contextlib.contextmanager
def written_atomically(path: pathlib.Path) -> Iterator[BinaryIO]:
    """A file to write to, which is at `path` when the block has ended, and not if it raises."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: pathlib.Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
