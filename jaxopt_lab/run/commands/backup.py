"""Keep an archive of a run in another place, as a mounted drive, and take the run back from it."""

import contextlib
import os
import pathlib
import sys
import threading
from collections.abc import Iterator

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.core.readable import readable
from jaxopt_lab.run.records.archive import (
    archives_of,
    restore_archive,
    whole_files,
    write_archive,
)
from jaxopt_lab.run.terminal.progress import Progress

PathLike = str | os.PathLike[str]


@checked
@contextlib.contextmanager
def backup(run_dir: PathLike, backup_dir: PathLike, *, seconds: Positive = 15.0) -> Iterator[None]:
    """Keep an archive of a folder up to date while the block runs, and bring it up to date after.

    Use it where a machine may vanish with its disk. The archive is written anew when a checkpoint,
    or any other file that is no log, is new. So what is lost with the machine is at most
    `train.checkpoint_seconds + seconds` of work, and the time of a copy. A backup that fails never
    stops the run: it is said once, and tried again.

        with jaxopt_lab.backup("runs/first", "drive/backups"):
            jaxopt_lab.train(config, "runs/first")

    Args:
      run_dir: the folder of a run or of a sweep, or one of many of them; it need not be there yet.
      backup_dir: where the archives go, made where it is missing: `first-000001.tar` and its
        SHA-256 for the folder `first`. The two newest are kept.
      seconds: between two looks at the folder, > 0.

    Raises:
      InputError: where the archives cannot go there, or it has archives of this name though
        `run_dir` is new: its own would replace those.
    """
    folder, place = pathlib.Path(run_dir), pathlib.Path(backup_dir)
    _prepare(folder, place)
    keeper = _Keeper(folder, place)
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(seconds):
            keeper.update()

    # A daemon, so that a process that must leave at once can.
    thread = threading.Thread(target=keep, name="jaxopt_lab backup", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        keeper.update(last=True)


def restore(run_dir: PathLike, backup_dir: PathLike, *, progress: bool = True) -> pathlib.Path:
    """Make a folder again from its newest archive that verifies.

    Args:
      run_dir: the folder to make; it must not be there. Its name is that of the archives.
      backup_dir: what `backup` was given.
      progress: whether to print which archive it is from.

    Returns:
      The folder.

    Raises:
      InputError: where the folder is there already, or no archive of it can be trusted.
      OSError: where the disk does not take it; there is no folder then.
    """
    folder, place = pathlib.Path(run_dir), pathlib.Path(backup_dir)
    path, damaged = restore_archive(folder, place)
    why = f": the newer {' and '.join(p.name for p in damaged)} is damaged" if damaged else ""
    Progress(show=progress).say(f"restored {folder} from {path.name}{why}")
    return folder


class _Keeper:
    """Writes an archive where something is new, and says when that begins or ceases to fail."""

    def __init__(self, folder: pathlib.Path, place: pathlib.Path):
        self._folder, self._place = folder, place
        self._seen, self._failing = {}, False

    def update(self, *, last: bool = False) -> None:
        """Bring the archive up to date; at the `last` time with the logs as they are then."""
        try:
            seen = whole_files(self._folder)
            if seen and (last or seen != self._seen):
                write_archive(self._folder, self._place)
                self._seen = seen
        except Exception as error:  # of whatever kind: the run goes on
            if last or not self._failing:
                then = "it holds what was there before" if last else "it is tried again"
                _warn(f"the backup to {self._place} failed: {_reason(error)}; {then}")
            self._failing = True
        else:
            if self._failing:
                _warn(f"the backup to {self._place} works again")
            self._failing = False


def _prepare(folder: pathlib.Path, place: pathlib.Path) -> None:
    """Make the place of the archives; refuse one that would lose something."""
    name = folder.resolve().name
    if not name:
        raise InputError(f"backup: {folder} has no name: give the folder of a run")
    if place.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"backup: {place} is inside of {folder}, and would be copied into itself: give a "
            "folder elsewhere"
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"backup: {place} cannot be made: {error.strerror}; give another folder"
        ) from None
    if not whole_files(folder) and (there := archives_of(name, place)):
        raise InputError(
            f"backup: {place} has archives of an earlier {name!r} ({there[0].name}), which those "
            f"of the new {folder} would replace: restore {folder} from there and resume it, or "
            "give another folder"
        )


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _warn(text: str) -> None:
    print(readable(text), file=sys.stderr, flush=True)
