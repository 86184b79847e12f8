"""A file with one object of JSON, which has no NaN."""

import json
import pathlib
from typing import Any

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.run.records.json_lines import finite

AGAIN = "put it back from a copy"
"""What to do about a file that nothing writes again."""


def write_json(path: pathlib.Path, values: Any) -> None:
    """Write values as indented JSON, those that are not finite as null."""
    text = json.dumps(finite(values), indent=2, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Read an object of JSON.

    Raises:
      InputError: where the file holds something else.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path} is no file: move it away, or put back a copy of the file")
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged, no JSON: {error}; {AGAIN}") from None
    if not isinstance(values, dict):
        got = type(values).__name__
        raise InputError(f"{path} is damaged: expected a JSON object, got a {got}; {AGAIN}")
    return values
