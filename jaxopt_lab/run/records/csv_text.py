"""Text of CSV whose cells no spreadsheet takes for formulas.

A text that begins as a formula gets an apostrophe before it: `=1+1` becomes `'=1+1`. Numbers, texts
that are numbers such as "-1", and a sign alone stay as they are. Every CSV that a command writes is
made here.
"""

import csv
import math
from collections.abc import Iterable
from typing import Any

# As OWASP lists them, "CSV Injection"; the last four are the wide forms, which Excel reads as well.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class _Lines(list[str]):
    def write(self, line: str) -> None:
        self.append(line)


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Rows of cells as CSV: numbers in full, texts made harmless, lines that end in \\n."""
    lines = _Lines()
    # Python before 3.13 quotes a line break in a cell only where it is part of the line's end.
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerows([harmless(c) if isinstance(c, str) else c for c in row] for row in rows)
    return "".join(f"{line[:-2]}\n" for line in lines)


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if begins_as_formula(text) and not _is_number(text) else text


def begins_as_formula(text: str) -> bool:
    """Whether a spreadsheet would compute it, as it computes "-1" too."""
    return len(text) > 1 and text.startswith(_FORMULA)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
