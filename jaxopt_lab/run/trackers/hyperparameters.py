"""A configuration as the flat list of hyperparameters that trackers show."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxopt_lab.config.dump import to_tables
from jaxopt_lab.config.schema import Config
from jaxopt_lab.run.trackers.tracker import Parameters

MOST_LETTERS = 500
"""Of a value: what the narrowest of the trackers takes."""


def hyperparameters(config: Config, classes: Sequence[str] = ()) -> Parameters:
    """Every value of a configuration by its dotted name, `{"optimizer.learning_rate": 0.1}`.

    Lists are text, and a text that is too long for a tracker is cut, with its length at its end.

    Args:
      config: of the run; `[log]` is left out.
      classes: names of the classes of the data.
    """
    tables = {k: v for k, v in to_tables(config).items() if k != "log"}
    found = dict(_flat("", tables))
    if classes:
        found["classes"] = shortened(", ".join(classes), f"{len(classes):,} in all")
    return found


def shortened(text: str, length: str | None = None) -> str:
    """A text of `MOST_LETTERS` at most; one that is cut says so."""
    if len(text) <= MOST_LETTERS:
        return text
    rest = f" ... ({length or f'{len(text):,} letters'})"
    return text[: MOST_LETTERS - len(rest)] + rest


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), item)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for i, item in enumerate(value):
            yield from _flat(f"{path}.{i}", item)
    elif isinstance(value, bool | int | float):
        yield path, value
    else:
        yield path, shortened(value if isinstance(value, str) else json.dumps(value))
