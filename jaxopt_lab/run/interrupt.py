"""Ctrl-C and SIGTERM as a wish to stop, seen at the end of the current chunk."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def catch_interrupts(tell: Callable[[str], None]) -> Iterator[threading.Event]:
    """An event that is set by the first SIGINT or SIGTERM; a second one aborts at once.

    Outside the main thread, where Python takes no signals, the event is never set.
    """
    asked = threading.Event()

    def handle(number, frame):
        del frame
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        tell(f"{signal.Signals(number).name}: saving after the current steps; again to abort")

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, old in before.items():
            signal.signal(number, old)
