"""Files that are whole or not there, and the SHA-256 by which a reader knows."""

import contextlib
import errno
import hashlib
import itertools
import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import IO, Any, BinaryIO


def sha256_of(path: pathlib.Path) -> str:
    """The SHA-256 of a file, in hex.

    Raises:
      OSError: also where it is none: a device or a pipe may give bytes for ever.
    """
    if path.exists() and not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no regular file", str(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_json(values: Any) -> str:
    """The SHA-256 of values as JSON writes them, in the order that they are in; in hex."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def write_atomically(path: pathlib.Path, content: bytes) -> None:
    """Write to a temporary name beside `path`, sync, rename: the file is whole or not there."""
    with written_atomically(path) as file:
        file.write(content)


@contextlib.contextmanager
def written_atomically(path: pathlib.Path) -> Iterator[BinaryIO]:
    """A file to write to, which is at `path` when the block has ended, and not if it raises.

    Several may write at once, each to a temporary name of its own: the last to end is at `path`.
    """
    with _temporary(path) as file:
        temporary = pathlib.Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":  # Windows renames no open file
                file.close()
            os.replace(temporary, path)  # while it is locked: nobody may take it before it has gone
        except BaseException as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(path)
            raise
    _sync_folder(path.parent)


def remove_temporary(folder: pathlib.Path) -> None:
    """Remove what writers that were killed have left in a folder and the folders in it."""
    for path in folder.rglob(".*.tmp"):
        with contextlib.suppress(OSError), open(path, "ab") as file:
            if _taken(file):
                path.unlink()


def lock(file: IO[Any], *, patience: float = 0.0) -> bool:
    """Lock an open file until it is closed.

    Args:
      file: open.
      patience: seconds for which another process may have it.

    Returns:
      False where another process has it; True also on a file system without locks.
    """
    from filelock import lock_descriptor  # here: who only computes, on a bare machine, needs none

    until = time.monotonic() + patience
    try:
        while not lock_descriptor(file.fileno(), blocking=False):
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
    except OSError:
        return True
    return True


def _temporary(path: pathlib.Path) -> BinaryIO:
    """An empty file beside `path`, under the first name to which nobody writes.

    So what a killed process left is written over, and does not pile up.
    """
    for i in itertools.count():
        name = f".{path.name}.{i}.tmp" if i else f".{path.name}.tmp"
        file = open(path.with_name(name), "ab")  # noqa: SIM115 the caller's to close
        if _taken(file):
            os.truncate(file.fileno(), 0)
            return file
        file.close()
    raise AssertionError  # names do not end


def _taken(file: BinaryIO) -> bool:
    """Lock a file; False where another has it, or it has got its last name meanwhile."""
    if not lock(file):
        return False
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(file.name))
    except FileNotFoundError:
        return False


def _sync_folder(folder: pathlib.Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
