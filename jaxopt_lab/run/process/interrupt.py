"""Ctrl-C and SIGTERM as a wish to stop, seen at the end of the current chunk."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from jaxopt_lab.run.process import distributed

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class EndsAtOnce:
    """A handler of SIGINT and SIGTERM while nothing can be saved: they end the command.

    Attributes:
      asked: whether one came. Python drops what is raised in a callback of its garbage collector.
    """

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, frame: Any) -> None:
        del number, frame
        self.asked = True
        raise KeyboardInterrupt


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """While it is entered SIGINT and SIGTERM end the command; in `catch_interrupts` they do not.

    Outside the main thread, where Python takes no signals, nothing changes.
    """
    with _handled_by(EndsAtOnce()):
        yield


@contextlib.contextmanager
def _handled_by(handle: Callable[[int, Any], None]) -> Iterator[dict[Any, Any]]:
    """Handle both signals in the main thread; gives what handled them before, and will again."""
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    before = {number: signal.signal(number, handle) for number in NUMBERS}
    try:
        yield before
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class Interrupts:
    """Whether a person or the machine has asked this run to stop."""

    def __init__(self) -> None:
        self.asked_here = False

    def asked(self) -> bool:
        """Whether any process of the run was asked; every one of them must call this."""
        return distributed.any_process(self.asked_here)


@contextlib.contextmanager
def catch_interrupts(tell: Callable[[str], None]) -> Iterator[Interrupts]:
    """Catch the first SIGINT or SIGTERM; a second one aborts at once, as does one before.

    Outside the main thread, where Python takes no signals, none is caught.
    """
    interrupts = Interrupts()

    def handle(number, frame):
        del frame
        if interrupts.asked_here:
            raise KeyboardInterrupt
        interrupts.asked_here = True
        tell(f"{signal.Signals(number).name}: saving after the current steps; again to abort")

    with _handled_by(handle) as before:
        if any(isinstance(old, EndsAtOnce) and old.asked for old in before.values()):
            raise KeyboardInterrupt
        yield interrupts
