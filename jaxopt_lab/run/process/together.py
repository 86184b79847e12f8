"""The processes of one run end together, and with a reason: each has a companion that sees to it.

Here is a process's own end of it: it says every few seconds that it lives and how far it is, it
says how it leaves, and it ends where its companion says that the run is over. `companion.py` does
the rest.
"""

import atexit
import contextlib
import json
import os
import pathlib
import secrets
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import jax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.readable import printable
from jaxopt_lab.run.process import companion, distributed
from jaxopt_lab.run.process.exit_codes import FAILED, INTERRUPTED, WRONG_INPUT

ENVIRONMENT_VARIABLE = "JAXOPT_LAB_STUCK_SECONDS"
STUCK_SECONDS = 1200.0

# A process that waits for the others, or for its device, waits in these.
_AROUND = ("jax", "jaxlib", "orbax")


@contextlib.contextmanager
def together(run_dir: pathlib.Path, stuck: float = STUCK_SECONDS) -> Iterator[None]:
    """While it is entered, this process and the others of the run end where one of them ends.

    Every process of the run enters it. One that is killed ends the others within seconds, one that
    is silent (stopped, or its host gone) within a minute, and one that hangs after `stuck` seconds.
    All say which process it was.

    Args:
      run_dir: of the run, on a file system that all processes see.
      stuck: how long the run may last without a chunk of steps; that of process 0 counts.

    Raises:
      InputError: in all processes, where not all of them see that folder.
    """
    if jax.process_count() == 1:
        yield
        return
    member = _Member(run_dir, stuck)
    try:
        member.begin()
        yield
    except jax.errors.JaxRuntimeError as error:
        # Mostly because another process is gone, and who that is will be known.
        time.sleep(companion.SILENT + companion.BEAT + 3 * companion.GRACE)
        member.leave(why=f"failed: {_first_line(error)}", code=FAILED)
        raise
    except KeyboardInterrupt:
        member.leave(why="was interrupted and has not saved", code=INTERRUPTED)
        raise
    except InputError as error:
        member.leave(why=f"refused: {error}", code=WRONG_INPUT)
        raise
    except BaseException as error:
        why = f"failed: {type(error).__name__}: {_first_line(error)}"
        member.leave(why=why, code=FAILED)
        raise
    else:
        member.leave()


class _Member:
    """This process as one of a run's: its companion, and the thread that speaks with it."""

    def __init__(self, run_dir: pathlib.Path, stuck: float):
        self._process, self._count = jax.process_index(), jax.process_count()
        # A new name each time: another run, or an earlier one, may have files there.
        self._place = distributed.from_first(lambda: run_dir / ".processes" / secrets.token_hex(4))
        with contextlib.suppress(OSError):  # where it cannot be made, `begin` tells
            self._place.mkdir(parents=True, exist_ok=True)
        given = (self._place, self._process, self._count, stuck, printable(str(run_dir)))
        self._companion = subprocess.Popen(
            [sys.executable, "-I", "-S", companion.__file__, *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._main, self._began = threading.main_thread().ident, 0
        self._speaking = threading.Lock()
        self._left = False

    def begin(self) -> None:
        """Speak with the companion, once there are the files of all.

        Raises:
          InputError: in all processes, where one does not see the files.
        """
        own = self._place / f"{self._process}.json"
        until = time.monotonic() + companion.SILENT
        while not own.exists() and time.monotonic() < until:
            time.sleep(0.05)
        distributed.any_process(False)  # all have written theirs
        there = [(self._place / f"{i}.json").exists() for i in range(self._count)]
        if distributed.any_process(not all(there)):
            raise InputError(
                f"not every process sees {self._place.parent.parent}: --run-dir must be on a file "
                "system that all processes of the run see"
            )
        self._began = distributed.meetings()
        threading.Thread(target=self._live, name="together", daemon=True).start()

    def leave(self, *, why: str | None = None, code: int = 0) -> None:
        """Say that this process leaves, well or for a reason."""
        with self._speaking:
            self._left = True
            self._say({"ended": {"well": why is None, "why": why, "code": code}})
        if why is None:
            self._companion.wait()  # the first one's removes the files of all
        else:
            # JAX's own farewell, which was registered before, would wait for the others.
            atexit.register(self._leave_at_once, code)

    def _leave_at_once(self, code: int) -> None:
        if self._process == 0:
            # JAX's service goes with process 0, and then JAX ends those that have yet to tell why.
            self._companion.wait()
        _exit(code)

    def _live(self) -> None:
        beat = 0
        assert self._companion.stdout is not None
        while True:
            with self._speaking:
                if self._left:
                    return
                beat += 1
                progress = distributed.meetings() - self._began
                self._say({"beat": beat, "progress": progress} | _where(self._main))
            if select.select([self._companion.stdout], [], [], companion.BEAT)[0]:
                order = self._companion.stdout.readline()
                with self._speaking:
                    if self._left:
                        return
                if not order:
                    print("the companion of this process has been ended", file=sys.stderr)
                _exit(int(order or FAILED))

    def _say(self, line: dict[str, Any]) -> None:
        assert self._companion.stdin is not None
        with contextlib.suppress(OSError):  # without a companion `_live` ends this process
            self._companion.stdin.write(json.dumps(line).encode() + b"\n")
            self._companion.stdin.flush()


def stuck_seconds() -> float:
    """How long a run may be stuck, by the environment; to be read before other processes wait.

    Raises:
      InputError: where it is no number of seconds.
    """
    text = os.environ.get(ENVIRONMENT_VARIABLE) or str(STUCK_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise InputError(f"{ENVIRONMENT_VARIABLE} must be a number of seconds > 0, got {text!r}")
    return seconds


def _where(thread: int | None) -> dict[str, Any]:
    """Which line a thread is at, of what is neither JAX's nor Python's, and whether JAX waits."""
    frame, waits = sys._current_frames().get(thread or 0), False
    while frame is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in _AROUND and package not in sys.stdlib_module_names:
            code = frame.f_code
            return {"at": f"{code.co_filename}:{frame.f_lineno}, {code.co_name}", "waits": waits}
        waits = waits or package in _AROUND
        frame = frame.f_back
    return {"at": "its start", "waits": waits}


def _exit(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]
