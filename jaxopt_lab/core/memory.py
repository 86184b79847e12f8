"""How much memory this machine has, and what may be taken of it."""

import ctypes
import functools
import os
from pathlib import Path

from jaxopt_lab.core.errors import InputError

try:
    import resource
except ImportError:  # Windows
    resource = None

IN_MEMORY = 256 << 20
"""Bytes of an array that is read whole although it could be mapped: it then goes to the device."""

_GROUPS = Path("/sys/fs/cgroup")


def machine_memory() -> int:
    """Bytes of memory, or the limit of this process or of its control group where that is less."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        memory = 16 << 30  # where the system does not say
    limits = [memory, *_group_limits()]
    if resource is not None:
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits += [] if limit == resource.RLIM_INFINITY else [limit]
    return min(limits)


def free_memory() -> int:
    """Bytes that new work may take now, swap included: at most `machine_memory`."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = {line.partition(":")[0]: line.split()[1] for line in lines}
        free = sum(int(sizes[name]) << 10 for name in ("MemAvailable", "SwapFree"))
    except (OSError, LookupError, ValueError):  # another system
        return machine_memory()
    return min(free, machine_memory())


def give_back() -> None:
    """Hand what was freed back to the system, which glibc keeps: compilers leave it hundreds of MB.

    Some milliseconds; nothing where the C library has no such call.
    """
    if (trim := _trim()) is not None:
        trim(0)


@functools.cache
def _trim():
    try:
        return ctypes.CDLL(None).malloc_trim  # of this process: no file is named
    except (AttributeError, OSError, TypeError):  # another C library, Windows
        return None


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


def _group_limits() -> list[int]:
    """The limits of this process's control group and of those that it is in, in either version."""
    files = [_GROUPS / "memory.max", _GROUPS / "memory" / "memory.limit_in_bytes"]
    try:
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, kinds, name = line.split(":", 2)
            place = Path(name.strip("/"))
            for group in (place, *place.parents):
                if not kinds:
                    files.append(_GROUPS / group / "memory.max")
                elif "memory" in kinds.split(","):
                    files.append(_GROUPS / "memory" / group / "memory.limit_in_bytes")
    except (OSError, ValueError):
        pass
    found = []
    for file in files:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        found += [int(text)] if text.isdecimal() else []
    return found
