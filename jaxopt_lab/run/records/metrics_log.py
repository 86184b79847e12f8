"""The log of a run: a line of JSON a row.

Its memory does not grow with the run. It holds an outline, which is every row of most runs and a
part of them past `OUTLINE` rows; the rest is in the file, which is a temporary one where the run
has no folder.
"""

import hashlib
import itertools
import json
import math
import os
import pathlib
import tempfile
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TextIO

import numpy as np

from jaxopt_lab.config.tables import better
from jaxopt_lab.core.metrics import is_of_evaluation
from jaxopt_lab.engine import Chunk
from jaxopt_lab.run.records.history import EVAL_STEP, STEP, Columns, History, rows_of
from jaxopt_lab.run.records.json_lines import (
    append_lines,
    as_rows,
    last_lines,
    read_lines,
    recover_lines,
)
from jaxopt_lab.run.records.vouched_log import digest_of

OUTLINE = 2**16  # rows in memory
STATE = "state"
"""The hash of the state that an evaluation saw; no number, and so in the file alone."""


class MetricsLog:
    """Rows of training, `{"step": 20, "loss": ...}`, and of evaluation, `{"eval_step": 20, ...}`.

    Numbers of layers are in the rows of the steps that measured them and in no others.
    Those of evaluation have a hash of the state, `"state": "0123456789abcdef"`, where there is one.
    Rows hold nothing that differs between two runs of the same configuration: no clock, no machine.

    Attributes:
      steps: that the run has taken.
    """

    def __init__(self, path: pathlib.Path | None, *, every: Collection[int] = (1,), until: int = 0):
        """Open the log of a run that stands at step `until`; rows past it are dropped.

        Args:
          path: of the file; None for a temporary one, once there is much to write.
          every: of the steps those are logged that one of these divides.
          until: the step of the run.
        """
        self.steps: int = until
        self._every = every
        self._held = {kind: History(most=OUTLINE) for kind in (STEP, EVAL_STEP)}
        self._best: dict[str, tuple[float, int]] = {}
        self._file: TextIO | None = None
        self._logged: LoggedHistory | None = None
        self._digest, self._size = hashlib.sha256(), 0
        if path is not None:
            for rows in _blocks(recover_lines(path, lambda row: (_step(row) or math.inf) <= until)):
                self._hold(rows)
            self._file, self._logged = append_lines(path), LoggedHistory(path)
            self._digest, self._size = digest_of(path)

    def add(self, chunk: Chunk, state: str | None = None) -> None:
        """Add the rows of a chunk; `state` is the hash of it that an evaluation's row has."""
        beside = {} if state is None else {STATE: state}
        for rows in rows_of(chunk, every=self._every):
            if self._file is None and self._held[_kind(rows)].has_no_room(rows):
                self._file, self._logged = _temporary()
                for held in self._held.values():
                    self._write(held.columns())
            if self._file:
                self._write(rows, beside if EVAL_STEP in rows else {})
            self._hold(rows)
        self.steps = int(chunk.steps[0])

    def history(self) -> Mapping[str, np.ndarray]:
        """A NumPy column a name, every row; read from the file when first asked for, if long."""
        if self._logged is None or not any(held.thinned for held in self._held.values()):
            return self.outline()
        self.sync()
        return self._logged

    def outline(self) -> Columns:
        """The history as far as it is in memory, to draw."""
        return {k: v for held in self._held.values() for k, v in held.columns().items()}

    def best(self, name: str) -> tuple[float, int] | None:
        """The best value of an evaluation, and the first step that had it."""
        return self._best.get(name)

    def last(self, name: str) -> float | None:
        """The newest value of a metric."""
        return self._held[EVAL_STEP if is_of_evaluation(name) else STEP].last(name)

    def vouched(self) -> dict[str, Any]:
        """How many bytes the file has, and their SHA-256: all that it was up to here."""
        return {"bytes": self._size, "sha256": self._digest.hexdigest()}

    def sync(self) -> None:
        """Put all rows on the disk."""
        if self._file and not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _write(self, rows: Columns, beside: Mapping[str, str] = MappingProxyType({})) -> None:
        assert self._file is not None
        text = "".join(json.dumps({**row, **beside}) + "\n" for row in as_rows(rows))
        self._file.write(text)
        self._digest.update(text.encode())
        self._size += len(text)  # json.dumps writes ASCII

    def _hold(self, rows: Columns) -> None:
        self._held[_kind(rows)].add_rows(rows)
        for name in rows.keys() - {EVAL_STEP} if EVAL_STEP in rows else ():
            values = rows[name]
            if np.isnan(values).all():
                continue
            sign = 1 if better(name) == "max" else -1
            place = int(np.nanargmax(sign * values))
            found = float(values[place]), int(rows[EVAL_STEP][place])
            best = self._best.setdefault(name, found)
            if sign * found[0] > sign * best[0]:
                self._best[name] = found


class LoggedHistory(Mapping[str, np.ndarray]):
    """The columns of a log on the disk, which is read when one of them is first asked for."""

    def __init__(self, path: pathlib.Path, *, temporary: bool = False):
        """Of the log at `path`; a temporary one is removed when nobody has this object any more."""
        self._path, self._columns = path, None
        if temporary:
            weakref.finalize(self, path.unlink, missing_ok=True)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> Columns:
        if self._columns is None:
            history = History()
            for rows in _blocks(read_lines(self._path)):
                history.add_rows(rows)
            self._columns = history.columns()
        return self._columns


def _temporary() -> tuple[TextIO, LoggedHistory]:
    handle, name = tempfile.mkstemp(prefix="jaxopt_lab-", suffix=".jsonl")
    file = os.fdopen(handle, "w", encoding="utf-8", newline="\n")
    return file, LoggedHistory(pathlib.Path(name), temporary=True)


def last_step(path: pathlib.Path) -> int:
    """The last step that a log on the disk has a row of; 0 where there is none."""
    return max((_step(row) or 0 for row in last_lines(path)), default=0)


def _step(row: dict[str, Any]) -> int | None:
    return row.get(STEP) or row.get(EVAL_STEP)


def _kind(rows: Columns) -> str:
    return STEP if STEP in rows else EVAL_STEP


def _blocks(rows: Iterable[dict[str, Any]]) -> Iterator[Columns]:
    """Rows as columns, a few thousand at a time."""
    rows = iter(rows)
    while block := list(itertools.islice(rows, 4096)):
        for kind in (STEP, EVAL_STEP):
            if those := [row for row in block if kind in row]:
                yield {
                    name: np.array(
                        [math.nan if (v := row.get(name)) is None else v for row in those],
                        np.int64 if name == kind else np.float32,
                    )
                    for name in dict.fromkeys(itertools.chain.from_iterable(those))
                    if name != STATE
                }
