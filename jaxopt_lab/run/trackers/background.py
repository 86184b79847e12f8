"""A tracker in a thread of its own, so that it can neither stop a run nor hold it up."""

import queue
import sys
import threading
import time
from collections.abc import Callable

from jaxopt_lab.core.errors import told
from jaxopt_lab.core.readable import readable
from jaxopt_lab.run.trackers.tracker import Tracker

MOST_WAITING = 1000
"""Calls that wait for a tracker; one that falls behind farther is given up."""

PATIENCE = 30.0
"""Seconds that a run, at its end, waits for one call of a tracker."""


class Background:
    """Calls of one tracker, done one after another beside the run.

    Where one fails, where too many wait, or where one takes too long at the end, it is said once,
    and all further calls are left out. The thread is a daemon: a process that must leave can.
    """

    def __init__(self, name: str, make: Callable[[], Tracker]):
        """Begin to make the tracker.

        Args:
          name: of it, to be shown.
          make: the tracker; called in the thread.
        """
        self._name, self._make = name, make
        self._waiting: queue.Queue[Callable[[Tracker], None] | None] = queue.Queue(MOST_WAITING)
        self._ended, self._done = threading.Event(), 0
        self._failure: str | None = None
        self._given_up = False
        thread = threading.Thread(target=self._work, name=f"jaxopt_lab {name}", daemon=True)
        thread.start()

    def do(self, call: Callable[[Tracker], None] | None) -> None:
        """Have something done; returns at once. None for the end."""
        if self._failure:
            self._give_up(f"failed: {self._failure}")
        if self._given_up:
            return
        try:
            self._waiting.put_nowait(call)
        except queue.Full:
            self._give_up(f"is {MOST_WAITING:,} calls behind")

    def close(self) -> None:
        """Wait until all is done, as long as it gets on."""
        self.do(None)
        done, since = self._done, time.monotonic()
        while not self._given_up and not self._ended.wait(0.05):
            if self._done != done:
                done, since = self._done, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                self._give_up(f"has done nothing for {PATIENCE:g} s")
        if self._failure:
            self._give_up(f"failed: {self._failure}")

    def _give_up(self, why: str) -> None:
        if not self._given_up:
            self._given_up = True
            text = f"{self._name} {why}; the run goes on without it, and its own log has all"
            print(readable(text), file=sys.stderr, flush=True)

    def _work(self) -> None:
        try:
            tracker = self._make()
            self._done += 1
            while (call := self._waiting.get()) is not None and not self._given_up:
                call(tracker)
                self._done += 1
        except BaseException as error:  # of whatever kind, `SystemExit` too: the run goes on
            self._failure = told(error)
        finally:
            self._ended.set()
