"""Whether data is what it was: a hash of names, sizes and contents."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from jaxopt_lab.core.errors import InputError

WHOLE = 4 << 20
"""Bytes of a file up to which all of it counts; of a larger one three pieces do."""

_PIECE = 1 << 20


def fingerprint_of(files: Iterable[tuple[str, str | os.PathLike[str]]]) -> str:
    """SHA-256, in hex, of the names, the sizes and the contents of files, wherever they lie.

    Of a file larger than 4 MiB the first, the middle and the last MiB count: a change of its size
    is seen, a change of a byte may not be.

    Args:
      files: the name that counts and the path of each, in the order that counts.

    Raises:
      InputError: where one cannot be read.
    """
    named = [(name, os.fspath(path)) for name, path in files]
    whole = hashlib.sha256()
    with ThreadPoolExecutor(max_workers=8) as pool:
        hashes = pool.map(_content_hash, [path for _, path in named])
        for (name, _), digest in zip(named, hashes, strict=True):
            whole.update(len(os.fsencode(name)).to_bytes(8) + os.fsencode(name) + digest)
    return whole.hexdigest()


def _content_hash(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(size.to_bytes(8))
            if size <= WHOLE:
                digest.update(file.read())
                return digest.digest()
            for start in (0, (size - _PIECE) // 2, size - _PIECE):
                file.seek(start)
                digest.update(file.read(_PIECE))
            return digest.digest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
