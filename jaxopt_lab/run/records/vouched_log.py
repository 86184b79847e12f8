"""Whether a log is what it was when a checkpoint was saved, which vouches for all before it."""

import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any

LOG = "log"
"""What a checkpoint calls it."""


def digest_of(path: pathlib.Path, size: int | None = None) -> tuple[Any, int]:
    """The SHA-256 of the first bytes of a file, to be gone on with, and how many there are."""
    digest, read = hashlib.sha256(), 0
    if path.is_file():
        with open(path, "rb") as file:
            while block := file.read(2**20 if size is None else min(2**20, size - read)):
                digest.update(block)
                read += len(block)
    return digest, read


def log_holds(path: pathlib.Path, beside: Mapping[str, Any]) -> bool:
    """Whether the log at `path` begins as a checkpoint says; true where it says nothing of one."""
    if LOG not in beside:
        return True
    try:
        size, sha256 = int(beside[LOG]["bytes"]), beside[LOG]["sha256"]
        digest, read = digest_of(path, size)
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return read == size and digest.hexdigest() == sha256
