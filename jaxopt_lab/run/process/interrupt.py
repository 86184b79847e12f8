"""Ctrl-C and SIGTERM as a wish to stop, seen at the end of the current chunk."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from jaxopt_lab.run.process import distributed


class Interrupts:
    """Whether a person or the machine has asked this run to stop."""

    def __init__(self) -> None:
        self.asked_here = False

    def asked(self) -> bool:
        """Whether any process of the run was asked; every one of them must call this."""
        return distributed.any_process(self.asked_here)


@contextlib.contextmanager
def catch_interrupts(tell: Callable[[str], None]) -> Iterator[Interrupts]:
    """Catch the first SIGINT or SIGTERM; a second one aborts at once.

    Outside the main thread, where Python takes no signals, none is caught.
    """
    interrupts = Interrupts()

    def handle(number, frame):
        del frame
        if interrupts.asked_here:
            raise KeyboardInterrupt
        interrupts.asked_here = True
        tell(f"{signal.Signals(number).name}: saving after the current steps; again to abort")

    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    finally:
        for number, old in before.items():
            signal.signal(number, old)
