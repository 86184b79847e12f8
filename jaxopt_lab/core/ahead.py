"""Rows read ahead of whoever takes them, by processes of Grain or by a thread of this one.

1. The order is given: for each batch the rows that it is of.
2. Of n worker processes number w reads the batches w, w + n, w + 2n, ...; they are taken in turn,
   so that what comes does not depend on n.
3. A thread takes them from the workers, and holds a few. What goes wrong in a worker, or ends it,
   is raised where the next batch is asked for.

Workers are spawned: a fork of a process with the threads of JAX may hang. They end with this
process, however it ends, and leave Ctrl-C to it.
"""

import contextlib
import functools
import gc
import itertools
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import queue
import re
import signal
import sys
import tempfile
import threading
import time
import types
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.types import Source

_HELD = 2  # batches, in this process and of each worker
_PATIENCE = 10.0  # seconds in which workers are started, and threads ended
_LOOK = 0.2  # seconds between looks at whether to stop
# Than in a worker: by who started it.
_ANSWERED_ELSEWHERE = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Lent(Source, Protocol):
    """A source that other processes can read from."""

    def lent(self, folder: str) -> Source:
        """The same, whose own pickle is small; what is large it reads from files in a folder.

        What is handed to a process that begins must fit in a pipe, or else whoever starts it waits
        for ever where it is killed.
        """
        ...


class Ahead:
    """An iterator over batches of rows, which are read before they are asked for."""

    def __init__(self, source: Source, table: Sequence[Any], workers: int = 0):
        """Begin to read.

        Args:
          source: gives an array of the rows of an index; with workers it is a `Lent` one.
          table: the index of each batch; with workers an array of row numbers, (rows, ...).
          workers: processes that read; 0 for a thread of this one.

        Raises:
          InputError: where workers are wanted and Grain is not installed.
        """
        workers = min(workers, len(table))
        if workers:
            require("grain", "grain")
            import grain  # before the clock of `_started` runs  # noqa: F401
        self._left = len(table)
        self._queue: queue.Queue[Any] = queue.Queue(_HELD)
        self._stop, reading = threading.Event(), _Reading()
        given = (source, table, workers, self._queue, self._stop, reading)
        thread = threading.Thread(target=_read, args=given, daemon=True)
        if workers:
            # Here, because where it is begun it unblocks the signals that `_by_workers` blocks.
            multiprocessing.resource_tracker.ensure_running()
            with _started(workers, self._queue):
                thread.start()
        else:
            thread.start()
        self._close = weakref.finalize(self, _end, thread, self._queue, self._stop, reading)

    def ready(self) -> bool:
        """Whether the next batch is there."""
        return not self._queue.empty()

    def __iter__(self) -> "Ahead":
        return self

    def __next__(self) -> np.ndarray:
        """The next batch, (rows, ...).

        Raises:
          InputError: where it cannot be read, or a worker has ended.
        """
        if not self._left:
            raise StopIteration
        found = self._queue.get()
        if isinstance(found, BaseException):
            self.close()
            raise found
        self._left -= 1
        return found

    def close(self) -> None:
        """End the workers; nothing more is read."""
        self._left = 0
        self._close()


class _Batches:
    """The batches of a table, as Grain reads them in a worker; the table is in files."""

    def __init__(self, source: Source, table: Sequence[np.ndarray], folder: str):
        """Write the row numbers of all batches, one after another, and where each batch ends."""
        self.source, self._folder, self._count = source, folder, len(table)
        for name, values in {
            "rows": np.concatenate(table),
            "ends": np.cumsum([len(rows) for rows in table]),
        }.items():
            np.save(self._path(name), values, allow_pickle=False)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: int) -> np.ndarray:
        rows, ends = self._table
        return np.ascontiguousarray(self.source[rows[ends[i - 1] if i else 0 : ends[i]]])

    @functools.cached_property
    def _table(self) -> list[np.ndarray]:
        return [np.load(self._path(name), allow_pickle=False) for name in ("rows", "ends")]

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, f"{name}.npy")


class _Reading:
    """What a thread reads from, so that another one can end it."""

    iterator: Any = None


def _read(
    source: Any,
    table: Sequence[Any],
    workers: int,
    held: queue.Queue[Any],
    stop: threading.Event,
    reading: _Reading,
) -> None:
    """Fill the queue with batches, or with what went wrong."""

    def put(found: Any) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                held.put(found, timeout=_LOOK)
                return

    def take(batches: Iterable[np.ndarray]) -> None:
        for batch in batches:
            put(batch)
            if stop.is_set():
                return

    try:
        if not workers:
            take(np.asarray(source[index]) for index in table)
            return
        with tempfile.TemporaryDirectory(prefix="jaxopt_lab-") as folder:
            batches = _Batches(source.lent(folder), table, folder)
            reading.iterator = _by_workers(batches, workers)
            # Copies: the memory that is shared with the workers is free again. After the first of
            # each worker no one needs the files.
            take(map(np.array, itertools.islice(reading.iterator, workers)))
        take(map(np.array, reading.iterator))
    except InputError as error:
        put(error)
    except Exception as error:
        put(_told(error) if workers else error)
    finally:
        if reading.iterator is not None:
            reading.iterator.close()


def _by_workers(batches: _Batches, workers: int) -> Any:
    """Grain's iterator over batches."""
    import grain
    from absl import flags

    if not flags.FLAGS.is_parsed():  # Grain's options are flags, which only its own programs parse
        flags.FLAGS.mark_as_parsed()
    if hasattr(signal, "pthread_sigmask"):
        # Of this thread, of those that it starts, and of the processes that these start.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ANSWERED_ELSEWHERE)
    options = grain.multiprocessing.MultiprocessingOptions(workers, per_worker_buffer_size=_HELD)
    read = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    dataset = grain.MapDataset.source(batches).to_iter_dataset(read)
    return iter(dataset.mp_prefetch(options, worker_init_fn=_begin))


@contextlib.contextmanager
def _started(workers: int, held: queue.Queue[Any]) -> Iterator[None]:
    """Wait until so many processes have been started, without the script that a person started.

    A process that is spawned would run that script again, and with it the training.
    """
    before, main = set(multiprocessing.active_children()), sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
        end = time.monotonic() + _PATIENCE
        while held.empty() and time.monotonic() < end:
            if len(set(multiprocessing.active_children()) - before) >= workers:
                break
            time.sleep(0.002)
    finally:
        sys.modules["__main__"] = main


def _begin(index: int, count: int) -> None:
    """Prepare a worker: it has no use for a device, and ends with the process that started it."""
    del index, count
    import jax

    jax.config.update("jax_platforms", "cpu")
    gc.freeze()  # what was imported is not looked through again and again
    for number in _ANSWERED_ELSEWHERE:
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        assert parent is not None
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()


def _told(error: Exception) -> InputError:
    """What went wrong in a worker, or with it."""
    if found := re.search(r"exit code (-?\d+)", str(error)):
        code = int(found[1])
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return InputError(
            f"a process that reads the data {how}: the machine, or its shared memory, may be too "
            "small for so many; set fewer, data.workers = 1, or 0 to read within this one"
        )
    return InputError(f"a process that reads the data failed: {type(error).__name__}: {error}")


def _end(
    thread: threading.Thread, held: queue.Queue[Any], stop: threading.Event, reading: _Reading
) -> None:
    """End a reading thread, and with it its workers."""
    stop.set()
    with contextlib.suppress(queue.Empty):
        while True:
            held.get_nowait()
    thread.join(_PATIENCE / 10)
    if thread.is_alive() and reading.iterator is not None:  # it waits for a worker
        reading.iterator.close()
    thread.join(_PATIENCE)
    if reading.iterator is not None:
        _await_freed()


def _await_freed() -> None:
    """Wait until Grain has freed shared memory: in a thread, which may come too late at exit."""
    import grain

    pool = getattr(grain.multiprocessing.SharedMemoryArray, "_del_thread_pool", None)
    if pool is not None:
        with contextlib.suppress(Exception):  # whatever a pool says that has ended
            pool.apply_async(int).get(_PATIENCE)
