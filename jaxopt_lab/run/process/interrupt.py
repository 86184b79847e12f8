"""Ctrl-C, SIGTERM and SIGHUP as a wish to stop, seen at the end of the current chunk."""

import contextlib
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

from jaxopt_lab.run.process.exit_codes import INTERRUPTED

NUMBERS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What asks a command to stop: a person, a scheduler, a terminal that is gone."""


class EndsAtOnce:
    """A handler of `NUMBERS` while nothing can be saved: they end the command.

    Attributes:
      asked: whether one came. Python drops what is raised in a callback of its garbage collector.
      of_process: whether the command is all that this process does, so that the process may be
        ended where it stands: at a second one, because what is unwound at the first may take its
        time, and at one that comes within an import, which would leave a library in pieces.
    """

    def __init__(self, *, of_process: bool = False) -> None:
        self.asked: bool = False
        self.of_process = of_process

    def __call__(self, number: int, frame: Any) -> None:
        del number
        if self.of_process and (self.asked or _is_importing(frame)):
            with contextlib.suppress(OSError):
                os.write(2, b"aborted\n")
            os._exit(INTERRUPTED)
        self.asked = True
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def raised_again(self) -> Iterator[None]:
        """While it is entered, what Python drops comes again, and is not printed."""
        before = sys.unraisablehook

        def hook(dropped: Any) -> None:
            if dropped.exc_type is KeyboardInterrupt and self.asked:
                self.asked = False
                signal.raise_signal(signal.SIGINT)
            else:
                before(dropped)

        sys.unraisablehook = hook
        try:
            yield
        finally:
            sys.unraisablehook = before

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """What a library that was being imported has made of it is a `KeyboardInterrupt` again."""
        try:
            yield
        except Exception:
            if self.asked:
                raise KeyboardInterrupt from None
            raise


@contextlib.contextmanager
def ending_at_once(*, of_process: bool = False) -> Iterator[EndsAtOnce]:
    """While it is entered `NUMBERS` end the command; in `catch_interrupts` they do not.

    Outside the main thread, where Python takes no signals, nothing changes.

    Args:
      of_process: as of `EndsAtOnce`.
    """
    handle = EndsAtOnce(of_process=of_process)
    with _handled_by(handle), handle.raised_again() if of_process else contextlib.nullcontext():
        yield handle


def _is_importing(frame: types.FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def leave_quietly() -> None:
    """End the process at the next of `NUMBERS`: its work is done, and Python is cleaning up."""
    if threading.current_thread() is threading.main_thread():
        for number in _heard():
            signal.signal(number, lambda number, frame: os._exit(INTERRUPTED))


def _heard() -> list[int]:
    """Those of `NUMBERS` that are for this process: not what `nohup` has it ignore."""
    ignored = signal.SIG_IGN
    return [n for n in NUMBERS if n == signal.SIGINT or signal.getsignal(n) != ignored]


@contextlib.contextmanager
def _handled_by(handle: Callable[[int, Any], None]) -> Iterator[dict[Any, Any]]:
    """Handle them in the main thread; gives what handled them before, and will again."""
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    before = {number: signal.signal(number, handle) for number in _heard()}
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
        from jaxopt_lab.run.process import distributed  # there, where JAX is

        return distributed.any_process(self.asked_here)


@contextlib.contextmanager
def catch_interrupts(tell: Callable[[str], None]) -> Iterator[Interrupts]:
    """Catch the first of `NUMBERS`; a second one aborts at once, as does one before.

    Outside the main thread, where Python takes no signals, none is caught.
    """
    interrupts = Interrupts()
    outer: list[EndsAtOnce] = []

    def handle(number, frame):
        if interrupts.asked_here:
            for ends in outer:  # of which this is one; two of them, and the process is gone
                ends(number, frame)
            raise KeyboardInterrupt
        interrupts.asked_here = True
        # It may come while a line is being written, within which no other can be.
        with contextlib.suppress(RuntimeError):
            tell(f"{signal.Signals(number).name}: saving after the current steps; again to abort")

    with _handled_by(handle) as before:
        outer += {id(old): old for old in before.values() if isinstance(old, EndsAtOnce)}.values()
        if any(old.asked for old in outer):
            raise KeyboardInterrupt
        yield interrupts
