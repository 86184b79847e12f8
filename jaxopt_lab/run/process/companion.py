"""A small process beside each process of a run: it tells which one of them has ended, and why.

Where one process of a run is gone, the others wait for it, or JAX ends them from C++, where Python
can say no more. A companion imports no JAX and outlives that. It

1. hears its own process through a pipe: a line every `BEAT` seconds, and a last one that says how
   it left. A pipe that ends without that one is of a process that was killed;
2. writes what it hears as `<process>.json`, in a folder that all hosts see;
3. looks there: process 0's companion at all files, the others at that of process 0, so that n hosts
   read 2 n files a second. No clock is compared with another host's: a file that has not changed
   for `SILENT` seconds is of a process that is silent;
4. tells why the run is over, and ends its own process.

It is run as a file, `python -I -S companion.py PLACE PROCESS COUNT STUCK RUN`, and so it imports
the standard library only. `together.py` is the other end of the pipe.
"""

import contextlib
import json
import os
import pathlib
import select
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

# In seconds.
BEAT = 2.0
LOOK = 1.0
SILENT = 30.0
GRACE = 3.0  # for others that fail by the same fault to say so themselves
LINGER = 10.0  # for others to read the files of a run that is over

FAILED = 1
KILLED: dict[str, Any] = {"well": False, "why": "was killed or has crashed", "code": FAILED}


class Verdict(NamedTuple):
    """Why a run is over, and the exit code of those whom that ends."""

    text: str
    code: int = FAILED


class Seen(NamedTuple):
    """What a process has said, and since when it has said nothing else."""

    said: Mapping[str, Any]
    since: float


def judge(seen: Mapping[int, Seen], now: float, idle: float, stuck: float) -> Verdict | None:
    """Why the run is over, or None.

    Args:
      seen: what is known of each process.
      now: the clock that `Seen.since` is of.
      idle: seconds since any process has got on with its work.
      stuck: the most that `idle` may be, once a process has begun.
    """
    if 0 in seen and (over := seen[0].said.get("over")):
        return Verdict(*over)  # process 0 sees more
    going = {i: one for i, one in seen.items() if not one.said.get("ended")}
    for one in seen.values():
        ended = one.said.get("ended")
        if ended and not ended["well"]:
            return Verdict(f"{one.said['name']} {ended['why']}", ended["code"])
    for one in going.values():
        if now - one.since > SILENT:
            why = "it was stopped, or its host is gone"
            return Verdict(f"{one.said['name']} has been silent for {SILENT:g} s: {why}")
    if idle > stuck and any(one.said.get("progress") for one in going.values()):
        return Verdict(f"no process has got on for {stuck:g} s: {_who_holds_up(going)}")
    return None


def _who_holds_up(going: Mapping[int, Seen]) -> str:
    """Those that do not wait in JAX for the others or for a device; or all, where all do."""
    busy = [one.said for one in going.values() if not one.said["waits"]]
    which = busy or [one.said for one in going.values()]
    doing = "is busy" if busy else "waits"
    return "; ".join(f"{said['name']} {doing} at {said['at']}" for said in which)


class Board:
    """The files by which companions know of each other's processes."""

    def __init__(self, place: pathlib.Path, process: int, count: int):
        self._place, self._own = place, place / f"{process}.json"
        self._watched = range(count) if process == 0 else (0,)
        self._seen: dict[int, Seen] = {}
        self._progress, self._got_on = 0, time.monotonic()

    def write(self, said: Mapping[str, Any]) -> None:
        """Let the others know what this process says."""
        with contextlib.suppress(OSError):  # a full disk is for the run itself to tell
            self._own.write_text(json.dumps(said))

    def judge(self, stuck: float) -> Verdict | None:
        """Look at the files, and say why the run is over, or None."""
        now = time.monotonic()
        for i in self._watched:
            try:
                said = json.loads((self._place / f"{i}.json").read_bytes())
            except (OSError, ValueError):  # it is being written: known the next time
                continue
            if i not in self._seen or self._seen[i].said != said:
                self._seen[i] = Seen(said, now)
        progress = sum(one.said.get("progress", 0) for one in self._seen.values())
        if progress != self._progress:
            self._progress, self._got_on = progress, now
        # Only process 0 sees all.
        idle = now - self._got_on if len(self._watched) > 1 else 0.0
        return judge(self._seen, now, idle, stuck)

    def wait_for_all(self) -> None:
        """Wait until all have ended, or no longer than `LINGER`."""
        until = time.monotonic() + LINGER
        while time.monotonic() < until:
            self.judge(float("inf"))
            if all(i in self._seen and self._seen[i].said.get("ended") for i in self._watched):
                return
            time.sleep(0.1)

    def remove(self) -> None:
        """Remove the files of all."""
        shutil.rmtree(self._place, ignore_errors=True)
        with contextlib.suppress(OSError):  # another run's, beside it
            self._place.parent.rmdir()


class Pipe:
    """What the own process says, line by line."""

    def __init__(self) -> None:
        self._rest = b""
        self.closed: bool = False

    def hear(self, seconds: float) -> list[dict[str, Any]]:
        """The lines of so many seconds at most; as soon as there is one."""
        if self.closed:
            time.sleep(seconds)
            return []
        if not select.select([0], [], [], seconds)[0]:
            return []
        heard = os.read(0, 1 << 16)
        self.closed = not heard
        *lines, self._rest = (self._rest + heard).split(b"\n")
        return [json.loads(line) for line in lines]


def accompany(board: Board, process: int, count: int, stuck: float, run: str) -> None:
    """Go with a process until it has ended, by itself or by the verdict over its run."""
    parent, pipe, first = os.getppid(), Pipe(), process == 0
    whom = f"process {process} of {count} ({socket.gethostname()}, pid {parent})"
    said: dict[str, Any] = {"name": whom, "waits": False, "at": "its start"}
    board.write(said)

    def ended() -> dict[str, Any] | None:
        """How the process has ended; None, after a moment of listening, where it goes on."""
        if "ended" not in said:
            for line in pipe.hear(LOOK):
                said.update(line)
                board.write(said)
        if pipe.closed and "ended" not in said:
            said["ended"] = KILLED
            board.write(said)
        return said.get("ended")

    verdict = None
    while not ended() and not verdict:
        # Before its first line there may be processes that have not begun to write.
        verdict = board.judge(stuck) if "beat" in said else None
    if verdict and first:
        said["over"] = verdict
        board.write(said)
    until = time.monotonic() + GRACE
    while verdict and not ended() and time.monotonic() < until:
        pass
    if ended() is KILLED:
        # Others may be the cause. Where the first one's host is gone, its silence tells that.
        until = time.monotonic() + SILENT + LOOK
        while not (verdict := verdict or board.judge(stuck)) and time.monotonic() < until:
            time.sleep(LOOK)
        verdict = verdict or Verdict(f"{whom} {KILLED['why']}")
    if verdict and ended() in (None, KILLED):
        go_on = f"; what was saved is kept: go on with --resume {shlex.quote(str(run))}"
        print(verdict.text + (go_on if verdict.code == FAILED else ""), file=sys.stderr, flush=True)
        # Process 0 goes last, because JAX's service goes with it, and then JAX ends the others.
        until = time.monotonic() + (GRACE if first else 0)
        while not ended() and time.monotonic() < until:
            pass
        _end(parent, pipe, verdict.code)
        said.setdefault("ended", {"well": False, "why": "was ended", "code": verdict.code})
        board.write(said)
    if first:
        board.wait_for_all()
        board.remove()


def _end(parent: int, pipe: Pipe, code: int) -> None:
    """End the own process: by its own thread, or where that one does not answer by force."""
    with contextlib.suppress(OSError):
        os.write(1, f"{code}\n".encode())
    until = time.monotonic() + GRACE
    while not pipe.closed and time.monotonic() < until:
        pipe.hear(LOOK)
    if not pipe.closed and os.getppid() == parent:
        os.kill(parent, signal.SIGKILL)


if __name__ == "__main__":
    # What is sent to all processes of a job is for the run, and its end is heard through the pipe.
    for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(_number, signal.SIG_IGN)
    _place, _process, _count, _stuck, _run = sys.argv[1:]
    _board = Board(pathlib.Path(_place), int(_process), int(_count))
    accompany(_board, int(_process), int(_count), float(_stuck), _run)
