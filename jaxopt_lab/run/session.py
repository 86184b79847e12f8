"""One command while it goes: its folder and who may write to it, what it says, its interrupts."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.process import distributed
from jaxopt_lab.run.process.interrupt import Interrupts, catch_interrupts
from jaxopt_lab.run.records.folder import Folder
from jaxopt_lab.run.records.page import require_pages
from jaxopt_lab.run.terminal.progress import Progress

C = TypeVar("C")
F = TypeVar("F", bound=Folder)


class Session(Generic[F, C]):
    """What a command has in hand between taking its folder and giving it back.

    Attributes:
      config: what it works by: the one given, or where it resumes the folder's own.
      folder: where it writes; None for nowhere.
      resumes: whether it goes on with what the folder holds.
      terminal: where it prints.
    """

    def __init__(self, config: C, folder: F | None, resumes: bool, terminal: Progress):
        self.config = config
        self.folder = folder
        self.resumes = resumes
        self.terminal = terminal

    @property
    def written(self) -> F | None:
        """The folder where this process is the one that writes logs and reports."""
        return self.folder if distributed.is_first() else None

    def begin(self, *what: Any) -> None:
        """Write down what the folder is of, where it is new; every process of a run calls this.

        Raises:
          InputError: where the folder takes no files.
        """
        if self.written and not self.resumes:
            try:
                self.written.begin(*what)
            except OSError as error:
                raise self.written.cannot_begin(error) from None
        if self.folder:
            distributed.require_seen(self.folder.config)

    def say(self, *lines: str) -> None:
        """Print lines."""
        self.terminal.say(*lines)

    def interrupts(self) -> contextlib.AbstractContextManager[Interrupts]:
        """While it is entered the first Ctrl-C or SIGTERM is a wish to stop, and a second aborts.

        Entered once there is something to save: before that, either of them ends the command.
        """
        return catch_interrupts(self.say)


@contextlib.contextmanager
def open_session(
    kind: type[F],
    config: C | None,
    run_dir: str | os.PathLike[str] | None,
    *,
    resume: bool = False,
    show: bool = True,
) -> Iterator[Session[F, C]]:
    """Begin, resume or refuse, and hold the folder's lock until the command ends.

    Args:
      kind: of folder.
      config: of the command; None to resume with the folder's own.
      run_dir: the folder; None to write nothing.
      resume: whether to go on with what the folder holds.
      show: whether to print.

    Yields:
      The session.

    Raises:
      InputError: where the folder is taken, holds nothing to resume or another configuration, or
        is in use.
    """
    terminal = Progress(show=show and distributed.is_first())
    if run_dir is None:
        if resume or config is None:
            raise InputError("resume: give the run_dir of the run or sweep to continue")
        yield Session(config, None, False, terminal)
        return
    folder = kind(run_dir)
    if not distributed.is_first():
        if resume:
            config = _own_config(folder, config)
        assert config is not None
        yield Session(config, folder, resume, terminal)
        return
    require_pages()  # for the report
    if resume:
        folder.require_there(" to resume")
    if os.path.isfile(folder.path):
        raise InputError(f"{folder.path} is a file: give a folder for the {folder.kind}")
    with folder.locked():
        yield Session(_config_of(folder, config, resume), folder, resume, terminal)


def _config_of(folder: Folder, config: C | None, resume: bool) -> C:
    """The configuration to work by; refuses what would mix two runs in one folder."""
    if not resume:
        if config is None:
            raise InputError(
                f"give a configuration for the {folder.kind}, or resume=True to go on with one"
            )
        folder.refuse_if_taken()
        return config
    return _own_config(folder, config)


def _own_config(folder: Folder, config: C | None) -> C:
    """The folder's own configuration, with its data where the one that was given has it."""
    own = folder.own_config()
    if config is None:
        return own
    if not folder.same(config, own):
        raise InputError(
            f"{folder.path} holds a {folder.kind} of another configuration ({folder.config}): "
            "resume without a configuration, or give another --run-dir"
        )
    return folder.with_paths_of(config, own)
