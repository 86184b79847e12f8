"""How much memory this machine has, and what may be taken of it."""

import os
from pathlib import Path

from jaxopt_lab.core.errors import InputError

IN_MEMORY = 256 << 20
"""Bytes of an array that is read whole although it could be mapped: it then goes to the device."""


def machine_memory() -> int:
    """Bytes of memory, or the limit of this process's control group where that is less."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        memory = 16 << 30  # where the system does not say
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        limit = ""
    return min(memory, int(limit)) if limit.isdecimal() else memory


def require_memory(what: str, size: int, share: float, remedy: str) -> None:
    """Make sure that so many bytes are at most a share of the machine's memory.

    Raises:
      InputError: where they are more, with the remedy.
    """
    most = int(machine_memory() * share)
    if size > most:
        raise InputError(
            f"{what} takes {size / 2**30:.1f} GiB, more than {share:.0%} of this machine's memory "
            f"({most / 2**30:.1f} GiB): {remedy}"
        )
