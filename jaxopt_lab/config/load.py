"""A TOML file and its overrides to a `Config`."""

import os
import pathlib
import tomllib
from collections.abc import Iterable
from typing import Any

from jaxopt_lab.config.parse import parse_config, parse_linear_config
from jaxopt_lab.config.schema import Config, LinearConfig
from jaxopt_lab.core.errors import InputError


def load_config(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Config:
    """Read and check a configuration.

    Args:
      path: of a TOML file.
      overrides: `"table.key=value"`, the value as TOML; a bare word is a string.

    Returns:
      The checked configuration.

    Raises:
      InputError: where the file cannot be read or is no TOML.
      ConfigError: naming every fault, by its dotted path.
    """
    return parse_config(read_tables(path, overrides), source=str(path))


def load_linear_config(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> LinearConfig:
    """Read and check a configuration of a linear model; as `load_config`."""
    return parse_linear_config(read_tables(path, overrides), source=str(path))


def read_tables(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> dict[str, Any]:
    """The tables of a TOML file with the overrides in them, unchecked."""
    path = pathlib.Path(path)
    try:
        tables = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a TOML configuration") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; give the path of a TOML file in it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from None
    for override in overrides:
        _apply(tables, override)
    return tables


def _apply(tables: dict[str, Any], override: str) -> None:
    """Put `a.b=value` into the tables."""
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise InputError(
            f"--set {override}: expected table.key=value, optimizer.momentum=0.9 for one"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if not text.strip().replace("_", "").isalnum():
            raise InputError(f"--set {override}: {text!r} is no TOML value") from None
        value = text.strip()
    put(tables, path.strip(), value, f"--set {override}")


def put(tables: dict[str, Any], path: str, value: Any, source: str) -> None:
    """Put a value into the tables at its dotted path; `source` is named in what is wrong."""
    keys = path.split(".")
    place: Any = tables
    for key in keys[:-1]:
        if isinstance(place, list):
            if not key.isdigit() or int(key) >= len(place):
                raise InputError(f"{source}: {key!r} must be an index below {len(place)}")
            place = place[int(key)]
        else:
            place = place.setdefault(key, {})
        if not isinstance(place, dict | list):
            raise InputError(f"{source}: {key!r} is a value, not a table")
    if isinstance(place, list):
        raise InputError(f"{source}: name one of the list, {path.rsplit('.', 1)[0]}.0 ...")
    place[keys[-1]] = value
    if path in ("train.steps", "train.epochs"):  # the one takes the place of the other
        place.pop("epochs" if keys[-1] == "steps" else "steps", None)
