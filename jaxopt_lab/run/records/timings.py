"""What the clock says of a run, apart from its log, which must not differ between two runs."""

import collections
import json
import pathlib
from collections.abc import Mapping

from jaxopt_lab.run.records.json_lines import append_lines, recover_lines

_PARTS = ("compile_seconds", "seconds", "evaluation_seconds", "test_seconds")


class Timings:
    """`timings.jsonl`: a row for each chunk of steps, and for what takes time besides.

    Its totals are those of all the sessions of a run.
    """

    def __init__(self, path: pathlib.Path | None):
        self._sessions = [collections.Counter[str]()]
        for row in recover_lines(path) if path else ():
            self._count(row)
        self._file = append_lines(path) if path else None

    def add(self, **row: float) -> None:
        """Add a row; seconds to the microsecond."""
        row = {name: round(value, 6) for name, value in row.items()}
        self._count(row)
        if self._file:
            self._file.write(json.dumps(row) + "\n")

    def total(self, name: str) -> float:
        """The sum of a name over all rows."""
        return sum(session[name] for session in self._sessions)

    @property
    def run_seconds(self) -> float:
        """Of all sessions; of one that was killed those that it has written down."""
        return sum(s["run_seconds"] or sum(s[name] for name in _PARTS) for s in self._sessions)

    def _count(self, row: Mapping[str, float]) -> None:
        if "start" in row:
            self._sessions.append(collections.Counter())
        # What is no number was damaged, and no run depends on its clock.
        self._sessions[-1].update({k: v for k, v in row.items() if isinstance(v, int | float)})

    def close(self) -> None:
        if self._file:
            self._file.close()
