"""The folder of a run: who may write to it, and what it holds."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from jaxopt_lab.config.dump import to_toml
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.schema import Config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine.checkpoint import write_atomically

CONFIG, SWEEP = "config.toml", "sweep.toml"


class RunFolder:
    """`config.toml metrics.jsonl timings.jsonl checkpoints/ plots/ summary.json report.html`."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)
        self.config = self.path / CONFIG
        self.metrics = self.path / "metrics.jsonl"
        self.timings = self.path / "timings.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.plots = self.path / "plots"
        self.summary = self.path / "summary.json"
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
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / ".lock", "a+")  # noqa: SIM115 - closed below
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            text = f"{self.path} cannot be a run folder: {error.strerror} ({error.filename})"
            raise InputError(f"{text}; give another --run-dir") from None
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
            yield

    def refuse_a_second_run(self) -> None:
        """Make sure that the folder is free for a new run.

        Raises:
          InputError: where it holds a run already.
        """
        if self.config.exists():
            raise InputError(
                f"{self.path} already holds a run: continue it with --resume {self.path}, or give "
                "another --run-dir"
            )

    def begin(self, config: Config) -> None:
        """Make the folder of a new run."""
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self.plots.mkdir(exist_ok=True)
        write_atomically(self.config, to_toml(config).encode())

    def resume(self) -> Config:
        """The configuration of the run that the folder holds.

        Raises:
          InputError: where it holds none.
        """
        if not self.config.exists():
            raise InputError(f"{self.path} holds no run to resume: there is no {self.config}")
        self.checkpoints.mkdir(exist_ok=True)
        self.plots.mkdir(exist_ok=True)
        return load_config(self.config)


def next_folder(stem: str, root: pathlib.Path = pathlib.Path("runs")) -> pathlib.Path:
    """The first of `runs/stem-001`, `runs/stem-002`, ... that holds no run and no sweep."""
    number = 1
    while any((root / f"{stem}-{number:03d}" / name).exists() for name in (CONFIG, SWEEP)):
        number += 1
    return root / f"{stem}-{number:03d}"
