"""The folder of a run: who may write to it, and what it holds."""

import abc
import contextlib
import itertools
import json
import os
import pathlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from jaxopt_lab.config.dump import config_hash, tables_to_toml, to_tables, to_toml
from jaxopt_lab.config.files import with_paths_of, without_paths
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.signature import Signature, require_format
from jaxopt_lab.config.start import CHECKPOINTS, KEPT, SUMMARY, SWEEP
from jaxopt_lab.core.errors import DamageWarning, InputError
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.json_lines import finite
from jaxopt_lab.run.records.metrics_log import LoggedHistory
from jaxopt_lab.run.records.own_code import require_own_code, write_own_code
from jaxopt_lab.run.records.seal import (
    SEAL,
    broken,
    require_whole,
    seal,
    unseal,
    vouches_for,
)
from jaxopt_lab.run.records.vouched_log import log_holds

C = TypeVar("C")

RUN = "config.toml"
KINDS = {RUN: "run", SWEEP: "sweep"}
"""What a folder holds, by the file whose presence says so."""

LOCK = ".lock"
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
        self.path = pathlib.Path(path)
        self.config = self.path / self.config_name
        self.signature = self.path / "signature.json"
        self.own_code = self.path / "own.json"
        self.plots = self.path / "plots"
        self.ends: tuple[str, ...] = ()
        self.report = self.path / "report.html"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder: a second process that tries is refused. Freed when the process ends.

        On Windows, where `fcntl` is missing, a folder is not guarded.

        Raises:
          InputError: where another process holds it.
        """
        try:
            import fcntl
        except ImportError:
            yield
            return
        try:
            new = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / LOCK, "a+")  # noqa: SIM115 - closed below
        except OSError as error:
            raise InputError(_unusable(self.path, str(error.strerror))) from None
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise InputError(
                    f"{self.path} is in use by another run (process {file.read().strip() or '?'}): "
                    "wait for it, or give another --run-dir"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            try:
                yield
            finally:
                if new and [entry.name for entry in self.path.iterdir()] == [LOCK]:
                    _remove_empty(self.path)  # of what could not begin

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
                    f"{self.path}, or give another --run-dir"
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

    def require_as_begun(self) -> None:
        """Make sure that what the folder was begun with is what was written then.

        Raises:
          InputError: naming a file that is not.

        Warns:
          DamageWarning: where there is no telling.
        """
        for name in require_whole(self.path, [path.name for path in self._begun]):
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
        seal(self.path, {name: None for name in self.ends if (self.path / name).exists()})

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


class RunFolder(Resumable[Config]):
    """What is on the disk of one run.

    `config.toml signature.json split.json seal.json metrics.jsonl timings.jsonl checkpoints/
    summary.json report.html plots/`; `kept/` holds the parameters that the run keeps at its end,
    and `kept/ensemble/` its snapshots.
    """

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__(path)
        self.metrics = self.path / "metrics.jsonl"
        self.timings = self.path / "timings.jsonl"
        self.checkpoints = self.path / CHECKPOINTS
        self.kept = self.path / KEPT
        self.ensemble = self.kept / "ensemble"
        self.summary = self.path / SUMMARY
        self.split = self.path / SPLIT
        self.ends = (self.metrics.name, self.summary.name)

    def begin(
        self, config: Config, signature: Signature, parts: Mapping[str, Any] | None = None
    ) -> None:
        """Make the folder of a new run; `parts` says which samples are held out."""
        for place in (self.checkpoints, self.kept):
            place.mkdir(parents=True, exist_ok=True)
        write_json(self.signature, signature.to_json())
        if parts is not None:
            write_json(self.split, parts)
        self._begin(to_toml(config), [to_tables(config)])

    def own_config(self) -> Config:
        self.require_there(" to resume")
        self.own_signature()
        for place in (self.checkpoints, self.kept):
            place.mkdir(parents=True, exist_ok=True)
        self.plots.mkdir(exist_ok=True)
        return self.read_config()

    def read_config(self) -> Config:
        """The configuration that the run was trained by; nothing in the folder is touched.

        Raises:
          InputError: where it names what is not here.
        """
        self.require_as_begun()
        require_own_code(self.own_code)
        return load_config(self.config)

    def same(self, config: Config, own: Config) -> bool:
        return config_hash(config) == config_hash(own)

    def with_paths_of(self, config: Config, own: Config) -> Config:
        return with_paths_of(own, config)

    def changed(self, overrides: Sequence[str] = ()) -> Config:
        return load_config(self.config, overrides)

    def tables_of(self, config: Config) -> Mapping[str, Any]:
        return to_tables(config)

    def own_signature(self) -> Signature:
        """The signature of the run's data.

        Raises:
          InputError: where it is missing, damaged or of another version.
        """
        if (self.path / LINEAR_MODEL).exists():
            raise InputError(f"{self.path} holds a solved linear model, {LINEAR_MODEL}, and no run")
        return Signature.from_json(self.own_version(), str(self.signature))

    def require_data(self, signature: Signature, parts: Mapping[str, Any] | None = None) -> None:
        """Make sure that a run goes on with the data that it began with, parted as it was.

        Raises:
          InputError: naming what differs.
        """
        if wrong := self.own_signature().difference(signature):
            place = "data.path" if signature.fingerprint else "--data-dir"
            place = "data" if signature.origin == "python" else place
            raise InputError(
                f"{self.path} was trained on other data: {wrong}; give the {place} that it was "
                "trained with"
            )
        if parts and self.split.exists() and read_json(self.split) != parts:
            raise InputError(
                f"{self.path}: other samples are held out than {self.split.name} says: it was "
                "changed, or this version draws others; go on with the version that began the run"
            )

    def own_summary(self) -> dict[str, Any]:
        """What `summary.json` holds; empty where the run has not ended.

        Raises:
          InputError: where it is damaged.
        """
        if state := broken(self.path, {self.summary.name}).get(self.summary.name):
            how = "is missing" if state == "missing" else "is not what the run wrote"
            raise InputError(
                f"{self.summary} {how} ({SEAL} has its SHA-256): --resume {self.path} writes it "
                "again"
            )
        return read_json(self.summary) if self.summary.exists() else {}

    def last_summary(self) -> dict[str, Any]:
        """As `own_summary`, and empty where it is damaged: the run's next end writes it again."""
        try:
            return self.own_summary()
        except InputError:
            return {}

    def forget_after(self, step: int) -> None:
        """Drop the checkpoints past a step, and the end of a run that had come further.

        What its seal says of the log and the end holds no longer.
        """
        self.seal_again()
        unseal(self.path, self.ends)
        checkpoint.drop_after(self.checkpoints, step)
        if self.last_summary().get("steps", 0) > step:
            self.summary.unlink()
            checkpoint.drop_after(self.kept, -1)
            checkpoint.drop_after(self.ensemble, -1)

    def log_holds(self, beside: Mapping[str, Any]) -> bool:
        """Whether the log begins as a checkpoint vouches for, `beside` its arrays."""
        return log_holds(self.metrics, beside)

    def history(self) -> LoggedHistory:
        """The log, which is read when it is first asked for.

        Warns:
          DamageWarning: where it is not what was written.
        """
        if vouches_for(self.path, self.metrics.name):
            whole = not broken(self.path, {self.metrics.name})
        else:
            whole = all(map(self.log_holds, checkpoint.vouched_beside(self.checkpoints).values()))
        if not whole:
            warnings.warn(
                f"{self.metrics} is not what was written: its numbers may be wrong, and rows may "
                f"be missing; --resume {self.path} writes what it can again",
                DamageWarning,
                stacklevel=3,
            )
        return LoggedHistory(self.metrics)


def is_in_use(path: pathlib.Path) -> bool:
    """Whether a process holds the lock of a folder; False where that cannot be seen."""
    try:
        import fcntl

        with open(path / LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except ImportError:
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def write_json(path: pathlib.Path, values: Any) -> None:
    """Write values as indented JSON, those that are not finite as null."""
    text = json.dumps(finite(values), indent=2, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Read an object of JSON.

    Raises:
      InputError: where the file holds something else.
    """
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON, it is damaged: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object, got a {type(values).__name__}")
    return values


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
