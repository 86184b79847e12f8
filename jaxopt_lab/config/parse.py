"""Tables as `tomllib` gives them to a `Config`; `checks.py` finds the faults."""

from collections.abc import Mapping
from typing import Any

from jaxopt_lab.config.checks import (
    ConfigError,
    checked_fields,
    parse_data_config,
    parse_fields,
    parse_linear_config,
    parse_mesh,
)
from jaxopt_lab.config.schema import Config

__all__ = [
    "ConfigError",
    "parse_config",
    "parse_data_config",
    "parse_fields",
    "parse_linear_config",
    "parse_mesh",
]


def parse_config(tables: Mapping[str, Any], *, source: str = "config") -> Config:
    """Check tables as `tomllib` gives them; see `load.load_config`.

    Raises:
      ConfigError: naming every fault, by its dotted path.
    """
    return Config(**checked_fields(Config, tables, source=source))
