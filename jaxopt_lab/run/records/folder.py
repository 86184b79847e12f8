"""A folder of a run or of a sweep: who may write to it, and what it was begun with."""

import abc
import contextlib
import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TextIO, TypeVar

from jaxopt_lab.config.dump import tables_to_toml
from jaxopt_lab.config.files import without_paths
from jaxopt_lab.config.signature import require_format
from jaxopt_lab.config.start import SWEEP
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import lock, remove_temporary, write_atomically
from jaxopt_lab.core.readable import as_typed
from jaxopt_lab.run.records.json_file import AGAIN, read_json
from jaxopt_lab.run.records.own_code import write_own_code
from jaxopt_lab.run.records.seal import (
    SEAL,
    broken,
    require_whole,
    seal,
    sealed,
    unseal,
    vouches_for,
)

C = TypeVar("C")

RUN = "config.toml"
KINDS = {RUN: "run", SWEEP: "sweep"}
"""What a folder holds, by the file whose presence says so."""

LOCK = ".lock"
_A_LOOK = 0.1  # seconds: whether a folder is in use is asked by taking its lock for a moment
SPLIT = "split.json"
LINEAR_MODEL = "model.npz"


class Folder(abc.ABC, Generic[C]):
    """A folder that one command at a time writes, and that a later one may go on with.

    Attributes:
      config_name: the one of `KINDS` that it holds.
      ends: the files that change until its end, for which its seal vouches from then on.
    """

    config_name: ClassVar[str] = RUN

    def __init__(self, path: str | os.PathLike[str]):
        require_name(path)
        self.path: pathlib.Path = pathlib.Path(path)
        self.config: pathlib.Path = self.path / self.config_name
        self.signature: pathlib.Path = self.path / "signature.json"
        self.own_code: pathlib.Path = self.path / "own.json"
        self.plots: pathlib.Path = self.path / "plots"
        self.ends: tuple[str, ...] = ()
        self.report: pathlib.Path = self.path / "report.html"
        self.seal_file: pathlib.Path = self.path / SEAL

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder: a second process that tries is refused. Freed when the process ends.

        Raises:
          InputError: where another process holds it, or it has a pipe, say, in a file's place.
        """
        try:
            self.require_files()
            new = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            held = open(self.path / LOCK, "a+")  # noqa: SIM115 - closed below
        except OSError as error:
            raise InputError(_unusable(self.path, str(error.strerror))) from None
        with held as file:
            if not lock(file, patience=_A_LOOK):
                raise InputError(
                    f"{self.path} is in use by another run (process {_holder(file)}): "
                    "wait for it, or give another --run-dir"
                )
            try:
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            except OSError as error:
                raise InputError(_unusable(self.path, str(error.strerror))) from None
            remove_temporary(self.path)
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # it may be gone by now
                    if new and [entry.name for entry in self.path.iterdir()] == [LOCK]:
                        _remove_empty(self.path)  # of what could not begin

    def require_files(self) -> None:
        """Refuse what would be waited for, or cannot be written: pipes, devices, folders as files.

        A checkpoint that is one of the first two is damaged, and another is taken.

        Raises:
          InputError: naming the first of them.
        """
        own = {path: "file" if path.suffix else "folder" for path in self._places}
        for place in [path for path, kind in own.items() if kind == "folder"]:
            # Its own, and those of a folder in it; no further: Orbax's folders are deep.
            found = itertools.chain(place.glob("step-*.*"), place.glob("*/step-*.*"))
            own |= {path: "file" for path in found if path.is_dir()}
        for path, kind in {self.path / LOCK: "file", **own}.items():
            is_one = path.is_dir() if kind == "folder" else path.is_file()
            if os.path.lexists(path) and not is_one:
                raise InputError(
                    f"{path} is no {kind}, as the {self.kind}'s own is: move it away, or put back "
                    f"a copy of the {kind}"
                )

    @property
    def _places(self) -> list[pathlib.Path]:
        """Where all that it names would be, there or not; a file has a suffix."""
        return [x for x in vars(self).values() if isinstance(x, pathlib.Path) and x != self.path]

    @property
    def kind(self) -> str:
        """What it holds, in a word."""
        return KINDS[self.config_name]

    def refuse_if_taken(self) -> None:
        """Make sure that the folder is free for a new run or sweep.

        Raises:
          InputError: where it holds one already.
        """
        for config_name, kind in KINDS.items():
            if (self.path / config_name).exists():
                raise InputError(
                    f"{self.path} already holds a {kind}: continue it with --resume "
                    f"{as_typed(self.path)}, or give another --run-dir"
                )

    def require_there(self, purpose: str = "") -> None:
        """Make sure that the folder holds what is to be read; `purpose` is " to resume", say.

        Raises:
          InputError: where it does not.
        """
        for place in (self.path, self.config):
            if not place.exists():
                others = (kind for name, kind in KINDS.items() if (self.path / name).exists())
                holds = next((f", but a {kind}" for kind in others), "")
                raise InputError(
                    f"{self.path} holds no {self.kind}{purpose}{holds}: there is no {place}"
                )

    @abc.abstractmethod
    def own_config(self) -> C:
        """The configuration that the folder was begun with.

        Raises:
          InputError: where it holds none.
        """

    @abc.abstractmethod
    def begin(self, *what: Any) -> None:
        """Make the folder of something new."""

    def same(self, config: C, own: C) -> bool:
        """Whether two configurations are the same run."""
        return config == own

    def with_paths_of(self, config: C, own: C) -> C:
        """The folder's own configuration with its data where another of the same run has it."""
        del config
        return own

    def own_version(self) -> Mapping[str, Any]:
        """What `signature.json` holds.

        Raises:
          InputError: where an older version wrote the folder, or one of another format.
        """
        if not self.signature.exists():
            if vouches_for(self.path, self.signature.name):
                raise InputError(f"{self.signature} is missing: {AGAIN}")
            raise InputError(
                f"{self.path}: written by an older version of jaxopt_lab, which kept no "
                f"{self.signature.name}: train it again, or read it with that version"
            )
        return require_format(read_json(self.signature), str(self.signature))

    def require_given(self, given: bool) -> None:
        """Make sure that data is given from Python where it was before, and only there.

        Raises:
          InputError: naming what is missing, or too much.
        """
        was = self.own_version().get("origin", "config") == "python"
        if was and not given:
            raise InputError(
                f"{self.path} was made with data given from Python, which it does not hold: give "
                "it again, data=..."
            )
        if given and not was:
            raise InputError(
                f"{self.path} was made with the data that {self.config} names: leave out data=..."
            )

    def cannot_begin(self, error: OSError) -> InputError:
        """What is told where the first files cannot be written."""
        return InputError(_unusable(self.path, str(error.strerror or error)))

    def require_as_begun(self) -> None:
        """Make sure that what the folder was begun with is what was written then.

        Raises:
          InputError: naming a file that is not.

        Warns:
          DamageWarning: where there is no telling.
        """
        for name in require_whole(self.path, [path.name for path in self._begun]):
            if not (self.path / name).exists():
                raise InputError(f"{self.path / name} is missing: {AGAIN}")
            begin = f", or begin another with `train {self.config} --run-dir NEW`"
            raise InputError(
                f"{self.path / name} is not what the {self.kind} wrote ({SEAL} has another "
                "SHA-256): it was damaged or edited. Put it back from a copy"
                f"{begin if name == RUN else ''}"
            )

    @property
    def _begun(self) -> tuple[pathlib.Path, ...]:
        """What a folder is begun with, in the order of its seal."""
        return self.signature, self.own_code, self.path / SPLIT, self.config

    def seal_again(self) -> None:
        """Vouch for what the folder was begun with where its seal is gone, as it is from now on."""
        if SEAL in broken(self.path, ()):
            seal(self.path, {path.name: None for path in self._begun if path.exists()})

    def seal_end(self) -> None:
        """Vouch for what was written until the end, as it is."""
        seal(self.path, dict.fromkeys(self.at_end()))

    def unseal_end(self) -> None:
        """Vouch no longer for what changes until the end."""
        begun = {path.name for path in self._begun}
        unseal(self.path, [name for name in sealed(self.path) if name not in begun])

    def at_end(self) -> list[str]:
        """The files for which the seal vouches from the end on."""
        return [name for name in self.ends if (self.path / name).exists()]

    def _begin(self, text: str, configs: Iterable[Mapping[str, Any]]) -> None:
        self.plots.mkdir(parents=True, exist_ok=True)
        write_own_code(self.own_code, configs)
        there = {path.name: None for path in self._begun[:-1] if path.exists()}
        seal(self.path, there | {self.config.name: text.encode()})
        # Last, because it says that the folder is taken.
        write_atomically(self.config, text.encode())


class Resumable(Folder[C]):
    """A folder of what may go on on another machine, where its data lies elsewhere."""

    @abc.abstractmethod
    def changed(self, overrides: Sequence[str] = ()) -> C:
        """The configuration in the folder with changes as of the command line."""

    @abc.abstractmethod
    def tables_of(self, config: C) -> Mapping[str, Any]:
        """A configuration as the tables of a file."""

    def moved(self, overrides: Sequence[str]) -> C:
        """The folder's own configuration with its data elsewhere.

        Args:
          overrides: `"data.path=..."`, relative to the working directory.

        Raises:
          InputError: where they change anything else.
        """
        own, config = self.own_config(), self.changed(overrides)
        if without_paths(self.tables_of(config)) != without_paths(self.tables_of(own)):
            raise InputError(
                f"{self.path}: --set with --resume says where the data lies and nothing else, "
                f"data.path=... for one; the {self.kind} keeps the rest of its own; "
                f"got {list(overrides)}"
            )
        return config

    def move(self, config: C) -> None:
        """Write down where the data of the folder lies now."""
        if self.changed() != config:
            content = tables_to_toml(self.tables_of(config)).encode()
            seal(self.path, {self.config.name: content})
            write_atomically(self.config, content)
            seal(self.path, {self.config.name: None})


def require_name(path: str | os.PathLike[str]) -> None:
    """Make sure that a folder can be called so.

    Raises:
      InputError: where it is called nothing, or with a NUL.
    """
    name = os.fspath(path)
    if not name or "\0" in name:
        raise InputError(f"give the name of a folder for the run, got {name!r}")


def is_in_use(path: pathlib.Path) -> bool:
    """Whether a process holds the lock of a folder; False where that cannot be seen."""
    if not (path / LOCK).is_file():  # a pipe would be waited for
        return False
    try:
        with open(path / LOCK) as file:
            return not lock(file, patience=_A_LOOK)
    except OSError:
        return False


def _holder(file: TextIO) -> str:
    """The process that holds a lock, as it says; Windows lets nobody else read it."""
    with contextlib.suppress(OSError):
        file.seek(0)
        return file.read().strip() or "?"
    return "?"


@contextlib.contextmanager
def new_folder(stem: str, root: pathlib.Path = pathlib.Path("runs")) -> Iterator[pathlib.Path]:
    """Make the first of `runs/stem-001`, `runs/stem-002`, ... that is not there.

    To make it is to take it: of several commands that begin together each gets its own. It goes
    again where it holds nothing in the end.

    Raises:
      InputError: where it cannot be made.
    """
    path = next(path for i in itertools.count(1) if _made(path := root / f"{stem}-{i:03d}"))
    try:
        yield path
    finally:
        if not any((path / name).exists() for name in KINDS):
            _remove_empty(path)


def _remove_empty(path: pathlib.Path) -> None:
    """Remove a folder that holds nothing but its lock."""
    with contextlib.suppress(OSError):
        (path / LOCK).unlink(missing_ok=True)
        path.rmdir()


def _made(path: pathlib.Path) -> bool:
    """Make a folder; False where it is there already."""
    try:
        path.mkdir(parents=True)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.parent.is_dir():
            return False
        raise InputError(_unusable(path, str(error.strerror))) from None
    return True


def _unusable(path: pathlib.Path, why: str) -> str:
    return f"{path} cannot be a run folder: {why}; give another --run-dir"
