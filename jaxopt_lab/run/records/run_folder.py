"""The folder of a run."""

import os
import pathlib
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxopt_lab.config.dump import config_hash, to_tables, to_toml
from jaxopt_lab.config.files import with_paths_of
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.signature import Signature
from jaxopt_lab.config.start import CHECKPOINTS, KEPT, SUMMARY
from jaxopt_lab.core.errors import DamageWarning, InputError
from jaxopt_lab.core.readable import as_typed
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.folder import LINEAR_MODEL, SPLIT, Resumable
from jaxopt_lab.run.records.json_file import read_json, write_json
from jaxopt_lab.run.records.metrics_log import LoggedHistory
from jaxopt_lab.run.records.own_code import require_own_code
from jaxopt_lab.run.records.seal import SEAL, broken, sealed, unseal, vouches_for
from jaxopt_lab.run.records.vouched_log import log_holds


class RunFolder(Resumable[Config]):
    """What is on the disk of one run.

    `config.toml signature.json split.json seal.json metrics.jsonl timings.jsonl checkpoints/
    summary.json report.html plots/`; `kept/` holds the parameters that the run keeps at its end,
    and `kept/ensemble/` its snapshots.
    """

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__(path)
        self.metrics: pathlib.Path = self.path / "metrics.jsonl"
        self.timings: pathlib.Path = self.path / "timings.jsonl"
        self.checkpoints: pathlib.Path = self.path / CHECKPOINTS
        self.kept: pathlib.Path = self.path / KEPT
        self.ensemble: pathlib.Path = self.kept / "ensemble"
        self.summary: pathlib.Path = self.path / SUMMARY
        self.split: pathlib.Path = self.path / SPLIT
        self.ends: tuple[str, ...] = (self.metrics.name, self.summary.name)

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
        self.require_files()
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
                f"{self.summary} {how} ({SEAL} has its SHA-256): "
                f"--resume {as_typed(self.path)} writes it again"
            )
        return read_json(self.summary) if self.summary.exists() else {}

    def last_summary(self) -> dict[str, Any]:
        """As `own_summary`, and empty where it is damaged: the run's next end writes it again."""
        try:
            return self.own_summary()
        except InputError:
            return {}

    def drop(self, steps: Iterable[int]) -> None:
        """Remove checkpoints that nobody is to miss."""
        steps = set(steps)
        checkpoint.drop(self.checkpoints, steps)
        unseal(self.path, map(self.manifest, steps))

    def forget_after(self, step: int) -> None:
        """Drop the checkpoints past a step, and the end of a run that had come further.

        What its seal says of the log and the end holds no longer.
        """
        self.seal_again()
        self.unseal_end()
        checkpoint.drop_after(self.checkpoints, step)
        if self.last_summary().get("steps", 0) > step:
            self.summary.unlink()
            checkpoint.drop_after(self.kept, -1)
            checkpoint.drop_after(self.ensemble, -1)

    def at_end(self) -> list[str]:
        places = (self.checkpoints, self.kept, self.ensemble)
        manifests = (path for place in places for path in sorted(place.glob(checkpoint.PATTERN)))
        found = [path.relative_to(self.path).as_posix() for path in manifests]
        return [*super().at_end(), *found]

    @property
    def ended_at(self) -> int | None:
        """The step of the checkpoint that a run had at its end, there or not; None before."""
        found = (re.fullmatch(rf"{CHECKPOINTS}/step-(\d+)\.json", n) for n in sealed(self.path))
        return max((int(match[1]) for match in found if match), default=None)

    def manifest(self, step: int) -> str:
        """The name, within the folder, of what vouches for the checkpoint of a step."""
        return f"{CHECKPOINTS}/step-{step:08d}.json"

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
                f"be missing; --resume {as_typed(self.path)} writes what it can again",
                DamageWarning,
                stacklevel=3,
            )
        return LoggedHistory(self.metrics)
