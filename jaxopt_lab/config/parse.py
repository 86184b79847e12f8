"""Tables as `tomllib` gives them to a `Config`; `checks.py` finds the faults."""

from collections.abc import Mapping
from typing import Any

from jaxopt_lab.config.checks import (
    checked_fields,
)
from jaxopt_lab.config.schema import Config


def parse_config(tables: Mapping[str, Any], *, source: str = "config") -> Config:
    """Check tables as `tomllib` gives them; see `load.load_config`.

    Raises:
      ConfigError: naming every fault, by its dotted path.
    """
    return Config(**checked_fields(Config, tables, source=source))
