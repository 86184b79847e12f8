"""A TOML file and its overrides to a `Config`."""

import os
import pathlib
import warnings
from collections.abc import Iterable
from typing import Any

from jaxopt_lab.config.checks import parse_data_config, parse_linear_config
from jaxopt_lab.config.files import make_absolute
from jaxopt_lab.config.overrides import Say, override
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import DataConfig, LinearConfig
from jaxopt_lab.config.shipped import file_of
from jaxopt_lab.config.toml import TomlError, read_toml
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.registry import nearest

MOST_BYTES = 10_000_000
"""Of a configuration; the longest that ships has 1,000."""


def load_config(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    unset: Iterable[str] = (),
    say: Say = warnings.warn,
) -> Config:
    """Read and check a configuration.

    Args:
      path: of a TOML file, or the name of one that ships, "digits_mlp"; a path that is there is
        meant first.
      overrides: `"table.key=value"`, the value as TOML; a bare word is a string.
      unset: `"table.key"` to leave out.
      say: told what another function's name made it leave out.

    Returns:
      The checked configuration.

    Raises:
      InputError: where the file cannot be read or is no TOML.
      ConfigError: naming every fault, by its dotted path.
    """
    return parse_config(read_tables(path, overrides, unset, say), source=str(path))


def load_linear_config(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    unset: Iterable[str] = (),
    say: Say = warnings.warn,
) -> LinearConfig:
    """Read and check a configuration of a linear model; as `load_config`."""
    return parse_linear_config(read_tables(path, overrides, unset, say), source=str(path))


def load_data_config(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    unset: Iterable[str] = (),
    say: Say = warnings.warn,
) -> DataConfig:
    """Read and check `[data]` of any configuration; as `load_config`."""
    return parse_data_config(read_tables(path, overrides, unset, say), source=str(path))


def read_tables(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    unset: Iterable[str] = (),
    say: Say = warnings.warn,
) -> dict[str, Any]:
    """The tables of a TOML file with the changes in them, unchecked; as `load_config`.

    Paths become absolute: those of the file by its own folder, those of a change by the working
    directory.
    """
    path = file_of(pathlib.Path(path))
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: no regular file; give the path of a TOML configuration")
        if path.stat().st_size > MOST_BYTES:
            size = path.stat().st_size
            raise InputError(
                f"{path}: {size:,} bytes, more than a configuration has ({MOST_BYTES:,}); give the "
                "path of a TOML configuration"
            )
        tables = read_toml(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        near = nearest(path.name, (each.name for each in path.parent.glob("*.toml")))
        raise InputError(
            f"{path}: no such file; give the path of a TOML configuration{near}"
        ) from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; give the path of a TOML file in it") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; give a file that you may read"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except TomlError as error:
        raise InputError(f"{path}: not TOML: {error}") from None
    make_absolute(tables, path.parent)
    override(tables, overrides, unset, say)
    make_absolute(tables, "")
    return tables
