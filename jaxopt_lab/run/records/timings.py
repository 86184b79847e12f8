"""What the clock says of a run, apart from its log, which must not differ between two runs."""

import collections
import json
import pathlib

from jaxopt_lab.run.records.json_lines import append_lines, recover_lines


class Timings:
    """`timings.jsonl`: a row for each chunk of steps, and for what takes time besides.

    Its totals are those of all the sessions of a run.
    """

    def __init__(self, path: pathlib.Path | None):
        self._totals: collections.Counter[str] = collections.Counter()
        for row in recover_lines(path) if path else ():
            self._totals.update(row)
        self._file = append_lines(path) if path else None

    def add(self, **row: float) -> None:
        """Add a row; seconds to the microsecond."""
        row = {name: round(value, 6) for name, value in row.items()}
        self._totals.update(row)
        if self._file:
            self._file.write(json.dumps(row) + "\n")

    def total(self, name: str) -> float:
        """The sum of a name over all rows."""
        return self._totals[name]

    def close(self) -> None:
        if self._file:
            self._file.close()
