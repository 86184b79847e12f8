"""The folder of a sweep."""

import hashlib
import io
import os
import pathlib
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_lab.config.dump import tables_to_toml, to_tables
from jaxopt_lab.config.files import tables_with_paths_of, without_paths
from jaxopt_lab.config.load import read_tables
from jaxopt_lab.config.signature import Signature, written_by
from jaxopt_lab.config.sweep import Sweep, parse_sweep
from jaxopt_lab.core.errors import DamageWarning, InputError
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.core.npz import opened_npz
from jaxopt_lab.core.tree import flatten_with_names
from jaxopt_lab.core.types import Model
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.records.csv_text import csv_text
from jaxopt_lab.run.records.folder import SWEEP, Resumable
from jaxopt_lab.run.records.history import Columns
from jaxopt_lab.run.records.identity import described
from jaxopt_lab.run.records.json_file import write_json
from jaxopt_lab.run.records.json_lines import (
    append_lines,
    finite,
    numbers,
    read_vouched_lines,
    vouched_line,
)
from jaxopt_lab.run.records.own_code import require_own_code
from jaxopt_lab.run.records.same_fusions import XLA
from jaxopt_lab.run.records.scores import numbers_of
from jaxopt_lab.run.records.seal import broken
from jaxopt_lab.run.records.sweep_records import RunRecord
from jaxopt_lab.run.records.sweep_result import SweepResult


class SweepFolder(Resumable[Sweep]):
    """What is on the disk of a sweep: `sweep.toml runs.jsonl waves/ sweep.csv best.toml
    report.html plots/`.

    A wave of runs that ended together is one folder in `waves/`, with their curves and their
    parameters; a line of `runs.jsonl`, written after it, says that a run has ended. Waves under
    way have their states in `progress/`, to go on from.
    """

    config_name = SWEEP

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__(path)
        self.runs: pathlib.Path = self.path / "runs.jsonl"
        self.waves: pathlib.Path = self.path / "waves"
        self.progress: pathlib.Path = self.path / "progress"
        self.table: pathlib.Path = self.path / "sweep.csv"
        self.best: pathlib.Path = self.path / "best.toml"
        self.ends: tuple[str, ...] = (self.runs.name, self.table.name, self.best.name)

    def begin(
        self, config: Sweep, signatures: Sequence[Signature], model: Model | None = None
    ) -> None:
        """Make the folder of a new sweep.

        Args:
          config: the sweep.
          signatures: of the data of each run.
          model: given in place of the configuration's; None for that one.
        """
        self.waves.mkdir(parents=True, exist_ok=True)
        distinct = list({id(signature): signature for signature in signatures}.values())
        places = {id(signature): place for place, signature in enumerate(distinct)}
        values = {
            "origin": signatures[0].origin,
            "model": described(model),
            "data": [signature.to_json() for signature in distinct],
            "data_of_run": [places[id(signature)] for signature in signatures],
        }
        write_json(self.signature, written_by() | values)
        runs = (to_tables(run.config) for run in config.runs)
        self._begin(tables_to_toml(config.tables), runs)

    def own_config(self) -> Sweep:
        self.require_there(" to resume")
        self.require_files()
        self.own_version()
        self.require_as_begun()
        require_own_code(self.own_code)
        return self.changed()

    def changed(self, overrides: Sequence[str] = ()) -> Sweep:
        return self._parsed(read_tables(self.config, overrides, say=_said))

    def _parsed(self, tables: Mapping[str, Any]) -> Sweep:
        return parse_sweep(tables, source=str(self.config), say=_said)

    def tables_of(self, config: Sweep) -> Mapping[str, Any]:
        return config.tables

    def own_signatures(self, runs: int, model: Model | None = None) -> tuple[Signature, ...]:
        """The signatures of the data of each run.

        Raises:
          InputError: where they are missing or damaged, or another model is given than before.
        """
        values, source = self.own_version(), str(self.signature)
        if "data" not in values:
            raise InputError(
                f"{self.path}: written by an older version of jaxopt_lab, which kept no shapes of "
                "the data: run the sweep again, or read it with that version"
            )
        try:
            was, places = values["model"], values["data_of_run"]
            distinct = [Signature.from_json(each, source) for each in values["data"]]
            found = tuple(distinct[place] for place in places)
        except (KeyError, TypeError, IndexError) as error:
            raise InputError(f"{source}: damaged, {error!r}: restore it from a copy") from None
        if len(found) != runs:
            raise InputError(f"{source}: damaged: {len(found)} runs, {self.config} has {runs}")
        if was != described(model):
            raise InputError(
                f"{self.path} was made with {'the model ' + was if was else 'a named model'}, got "
                f"{described(model) or 'none'}: give load_run(..., model=...) where it was given"
            )
        return found

    def read_rows(self, plan: Sweep) -> dict[int, RunRecord]:
        """What is written down of each run that has ended, without its curves and parameters."""
        return {run: _record(plan, row) for run, row in self._rows().items()}

    def _rows(self) -> dict[int, dict[str, Any]]:
        """The lines of `runs.jsonl` by their runs.

        Warns:
          DamageWarning: where some are not what was written.
        """
        rows = list(read_vouched_lines(self.runs))
        if lost := [f"{n:,}" for n, row in enumerate(rows, start=1) if row is None]:
            many = "s" * (len(lost) > 1)
            warnings.warn(
                f"{self.runs}: line{many} {', '.join(lost)} {'are' if many else 'is'} damaged: "
                f"the run{many} of which that was {'have' if many else 'has'} to be trained again",
                DamageWarning,
                stacklevel=3,
            )
        elif self.runs.name in broken(self.path, {self.runs.name}):
            warnings.warn(
                f"{self.runs} is not what was written when the sweep ended: runs that it lacks "
                "have to be trained again",
                DamageWarning,
                stacklevel=3,
            )
        return {row["run"]: row for row in rows if row is not None}

    def read_run(self, plan: Sweep, run: int, shapes: Any) -> RunRecord | None:
        """A run that has ended, with its curves and what it kept; None where it has not.

        Args:
          plan: the sweep.
          run: its number.
          shapes: a pair of its parameters' and its model state's shapes.

        Raises:
          InputError: where its files are missing or damaged.
        """
        rows = self._rows()
        if run not in rows:
            return None
        place, members = self.place_of_wave(rows[run]["wave"]), {run: rows[run]}
        return _read_wave(place, plan, members, {run: shapes})[run]

    def same(self, config: Sweep, own: Sweep) -> bool:
        return without_paths(config.tables) == without_paths(own.tables)

    def with_paths_of(self, config: Sweep, own: Sweep) -> Sweep:
        return self._parsed(tables_with_paths_of(own.tables, config.tables))

    def require_data(self, signatures: Sequence[Signature], model: Model | None = None) -> None:
        """Make sure that a sweep goes on with the data, and the model, that it began with.

        Args:
          signatures: of the data of each run.
          model: as of `begin`.

        Raises:
          InputError: naming what differs.
        """
        own = self.own_signatures(len(signatures), model)
        for was, is_ in {
            (id(a), id(b)): (a, b) for a, b in zip(own, signatures, strict=True)
        }.values():
            if wrong := was.difference(is_):
                raise InputError(
                    f"{self.path} was begun with other data: {wrong}; give the data that it was "
                    "begun with"
                )

    def add(self, ended: Mapping[int, RunRecord]) -> None:
        """Write down runs that have ended together."""
        wave = sum(1 for _ in self.waves.iterdir())
        place = self.place_of_wave(wave)
        place.mkdir()
        _save_histories(place / "histories.npz", {i: r.history for i, r in ended.items()})
        kept = {i: r for i, r in ended.items() if r.params is not None}
        if kept:
            tree = {str(i): (r.params, r.model_state) for i, r in kept.items()}
            checkpoint.save(place, 0, tree, config_hash="sweep")
        lines = [
            vouched_line(
                {
                    "run": i,
                    "wave": wave,
                    **{f"set {k}": v for k, v in r.values.items()},
                    "stopped_by": r.stopped_by,
                    "steps": r.steps,
                    "kept_step": r.kept_step,
                    "metrics": finite(r.metrics),
                    "test": finite(r.test),
                }
            )
            for i, r in ended.items()
        ]
        with append_lines(self.runs) as file:
            file.write("".join(lines))
            file.flush()
            os.fsync(file.fileno())

    def recover(self) -> None:
        """Make the folder of a killed sweep ready for more; only who holds its lock may."""
        self.waves.mkdir(exist_ok=True)
        self.plots.mkdir(exist_ok=True)
        self.seal_again()
        rows = self._rows()
        self.unseal_end()
        write_atomically(self.runs, "".join(map(vouched_line, rows.values())).encode())

    def ended(self, plan: Sweep, templates: Mapping[int, Any]) -> dict[int, RunRecord]:
        """The runs that have ended; those whose files do not verify are left out, to run again."""
        rows: dict[int, dict[int, Any]] = {}
        for run, row in self._rows().items():
            rows.setdefault(row["wave"], {})[run] = row
        found: dict[int, RunRecord] = {}
        for wave, members in rows.items():
            place = self.place_of_wave(wave)
            try:
                found |= _read_wave(place, plan, members, templates)
            except InputError as error:
                names = ", ".join(map(str, sorted(members)))
                again = f"the runs in it are trained again ({names})"
                warnings.warn(f"{error}: {again}", DamageWarning, stacklevel=2)
        return found

    def save_progress(
        self,
        wave: Sequence[int],
        step: int,
        states: Any,
        histories: Mapping[int, Columns],
        fusions: str,
    ) -> None:
        """Save the states of a wave under way, what it has measured, and how it is compiled."""
        place, name = self._place_of(wave)
        place.mkdir(parents=True, exist_ok=True)
        _save_histories(place / f"histories-{step}.npz", histories)
        beside = {XLA: fusions}
        checkpoint.save(place, step, states, config_hash=name, keep=1, beside=beside)
        for old in place.glob("histories-*.npz"):
            if old.name != f"histories-{step}.npz":
                old.unlink()

    def restore_progress(
        self, wave: Sequence[int], template: Any
    ) -> tuple[int, Any, dict[int, Columns], dict[str, Any]] | None:
        """The step, the states and the histories of this very wave, and what its checkpoint vouches
        for beside; None where there are none."""
        place, name = self._place_of(wave)
        try:
            found = checkpoint.restore(place, template, config_hash=name)
            if found is None:
                return None
            histories = _histories(place / f"histories-{found[0]}.npz", wave)
            return *found, histories, checkpoint.beside_of(place, found[0])
        except (OSError, ValueError, KeyError, InputError):
            warnings.warn(
                f"{place} is damaged: its {len(wave)} runs under way are trained from their start",
                DamageWarning,
                stacklevel=2,
            )
            return None

    def clear_progress(self, wave: Sequence[int] | None = None) -> None:
        """Forget the states of a wave, which has ended; None for all of them."""
        place = self.progress if wave is None else self._place_of(wave)[0]
        shutil.rmtree(place, ignore_errors=True)

    def place_of_wave(self, wave: int) -> pathlib.Path:
        """Where the files of a wave are."""
        return self.waves / f"{wave:04d}"

    def _place_of(self, wave: Sequence[int]) -> tuple[pathlib.Path, str]:
        name = hashlib.sha256(repr(list(wave)).encode()).hexdigest()[:16]
        return self.progress / name, name

    def write_table(self, plan: Sweep, result: SweepResult) -> None:
        """`sweep.csv`: a row a run, with its setting's place, 1 for the best."""
        there = [(i, r) for i, r in enumerate(result.runs) if r is not None]
        ranks = {i: n for n, s in enumerate(result.settings, start=1) for i in s.runs}
        axes = list(dict.fromkeys(k for run in plan.runs for k in run.values))
        metrics = sorted({k for _, r in there for k in r.metrics})
        tests = sorted({k for _, r in there for k in numbers_of(r.test)})
        names = [
            *axes,
            "rank",
            "stopped_by",
            "steps",
            "kept_step",
            *metrics,
            *(f"test_{k}" for k in tests),
        ]
        rows: list[list[Any]] = [["run", *names]]
        for i, r in there:
            measured = [r.metrics.get(k, "") for k in metrics] + [r.test.get(k, "") for k in tests]
            own = [r.values.get(k, "") for k in axes]
            kept = "" if r.kept_step is None else r.kept_step
            rows.append([i, *own, ranks[i], r.stopped_by, r.steps, kept, *measured])
        write_atomically(self.table, csv_text(rows).encode())


def _said(text: str) -> None:
    """What names leave out was said when the sweep began."""


def _read_wave(
    place: pathlib.Path,
    plan: Sweep,
    rows: Mapping[int, Mapping[str, Any]],
    shapes: Mapping[int, Any],
) -> dict[int, RunRecord]:
    """Runs of a wave, by their lines of `runs.jsonl`, with their curves and what they kept.

    Raises:
      InputError: where the files of the wave are missing or damaged.
    """
    tree = {str(run): shapes[run] for run, row in rows.items() if row["test"]}
    wanted = flatten_with_names(tree)
    try:
        histories = _histories(place / "histories.npz", rows)
        found = checkpoint.read_arrays(place, wanted.__contains__) if tree else None
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{place} is damaged") from error
    arrays = {} if found is None else found[1]
    if {k: v.shape for k, v in wanted.items()} != {k: v.shape for k, v in arrays.items()}:
        raise InputError(f"{place} is damaged, or holds other arrays than its models have")
    leaves = [arrays[name] for name in wanted]
    kept = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    records: dict[int, RunRecord] = {}
    for run, row in rows.items():
        params, model_state = kept.get(str(run), (None, None))
        record = _record(plan, row)._replace(history=histories[run])
        records[run] = record._replace(params=params, model_state=model_state)
    return records


def _record(plan: Sweep, row: Mapping[str, Any]) -> RunRecord:
    """A line of `runs.jsonl`, without what lies in the files of its wave."""
    return RunRecord(
        plan.runs[row["run"]].values,
        row["stopped_by"],
        row["steps"],
        numbers(row["metrics"]),
        {},
        numbers(row["test"]),
        kept_step=row.get("kept_step"),
    )


def _save_histories(path: pathlib.Path, histories: Mapping[int, Columns]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **{f"{i}/{k}": v for i, own in histories.items() for k, v in own.items()})
    write_atomically(path, buffer.getvalue())


def _histories(path: pathlib.Path, runs: Iterable[int]) -> dict[int, Columns]:
    with opened_npz(path) as file:
        columns = dict(file)
    return {
        i: {k.partition("/")[2]: v for k, v in columns.items() if k.startswith(f"{i}/")}
        for i in runs
    }
