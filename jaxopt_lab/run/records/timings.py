"""What the clock says of a run, apart from its log, which must not differ between two runs."""

import json
import pathlib

from jaxopt_lab.run.records.json_lines import read_lines


class Timings:
    """`timings.jsonl`: a row for each chunk of steps, and for what takes time besides.

    Its totals are those of all the sessions of a run.
    """

    def __init__(self, path: pathlib.Path | None):
        self.rows = read_lines(path) if path else []
        self._file = open(path, "a") if path else None  # noqa: SIM115 - closed by `close`

    def add(self, **row: float) -> None:
        """Add a row; seconds to the microsecond."""
        row = {name: round(value, 6) for name, value in row.items()}
        self.rows.append(row)
        if self._file:
            self._file.write(json.dumps(row) + "\n")

    def total(self, name: str) -> float:
        """The sum of a name over all rows."""
        return sum(row.get(name, 0.0) for row in self.rows)

    def close(self) -> None:
        if self._file:
            self._file.close()
