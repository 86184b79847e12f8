"""What a command says when it could not end: what of its work is on the disk."""

import errno
import itertools
import os
import pathlib

from jaxopt_lab.core.readable import as_typed, printable

_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.EIO: "look at the disk",
    errno.ENOENT: "put the folder back where it was",
    errno.ENAMETOOLONG: "give a shorter name",
}

# Manifests of checkpoints, and of a sweep the runs that have ended.
_SAVED = ("checkpoints/**/step-*.json", "progress/*/step-*.json", "runs.jsonl")


def aborted(command: str, folder: str | os.PathLike[str] | None) -> str:
    """Of a command that a person has ended; `folder` is that of its run or sweep, if any."""
    if folder is None:
        return "aborted"
    if not has_saved(folder):
        return "aborted; nothing was saved"
    place = as_typed(folder)
    return printable(f"aborted; go on with: jaxopt-lab {command} --resume {place}")


def failed(error: OSError, command: str, folder: str | os.PathLike[str] | None) -> str:
    """Of a command that the disk or another device has ended; arguments as of `aborted`."""
    where = f" ({error.filename})" if error.filename else ""
    text = f"{error.strerror or error}{where}"
    remedy = _REMEDIES.get(error.errno or 0, "see what is wrong there")
    if folder is None or not has_saved(folder):
        return printable(f"{text}: {remedy}, and try again")
    return printable(
        f"{text}: what was saved before is kept; {remedy}, and go on with: jaxopt-lab {command} "
        f"--resume {as_typed(folder)}"
    )


def has_saved(folder: str | os.PathLike[str]) -> bool:
    """Whether a run or a sweep has anything on the disk to go on from."""
    place = pathlib.Path(folder)
    try:
        found = itertools.chain.from_iterable(place.glob(pattern) for pattern in _SAVED)
        return any(path.stat().st_size for path in found)
    except OSError:
        return False
