"""Standard output and error, which may be closed, or whose reader may be gone."""

import contextlib
import os
import sys
from typing import Any


def let_go(stream: Any) -> None:
    """What is written to a stream from now on is lost, what Python flushes at its end with it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


def give_streams() -> None:
    """Stand-ins for a standard output or error that was closed before Python began.

    Its number is taken, so that no file that is opened later gets what belongs to a terminal.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", closefd=False))
