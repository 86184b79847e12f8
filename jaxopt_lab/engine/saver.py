"""Checkpoints that are written while the training goes on.

What is saved is copied to the host at once, because the next steps take its memory; the archive is
made, hashed and written by a thread, one at a time and in the order in which they were asked for.
"""

import concurrent.futures
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


class Saver:
    """Saves one tree after another in a thread; where several processes save together, at once."""

    def __init__(self) -> None:
        self._thread: concurrent.futures.ThreadPoolExecutor | None = None
        self._last: concurrent.futures.Future[None] | None = None

    def save(self, write: Callable[[Any], None], tree: Any) -> None:
        """Have a tree saved; the save before it has ended then.

        Args:
          write: saves a tree of the structure of this one, whose leaves are NumPy arrays, the data
            of PRNG keys among them. It says nothing to the run but by what it raises.
          tree: arrays, which may be donated afterwards.

        Raises:
          OSError: where the save before could not be written.
        """
        self.wait()
        if jax.process_count() > 1:
            write(tree)
            return
        copied = jax.tree.map(_on_host, tree)
        if self._thread is None:
            self._thread = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._last = self._thread.submit(write, copied)

    def check(self) -> None:
        """Raise what the last save has raised, where it has ended."""
        if self._last is not None and self._last.done():
            self.wait()

    def wait(self) -> None:
        """Wait for the last save.

        Raises:
          OSError: where it could not be written.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """End the thread when it has saved what it was given; what failed is not told any more."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None


def _on_host(leaf: Any) -> np.ndarray:
    """The numbers of a leaf in memory of their own."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.array(leaf, copy=True)
