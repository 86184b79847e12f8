"""A file with one object of JSON, which has no NaN."""

import json
import pathlib
from typing import Any

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.run.records.json_lines import finite


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
        raise InputError(f"{path}: no regular file")
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON, it is damaged: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object, got a {type(values).__name__}")
    return values
