"""The values of a configuration that are paths of files: where they are relative to."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jaxopt_lab.config.sections import Choice
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.ranges import is_of_machine, is_path

if TYPE_CHECKING:
    from jaxopt_lab.config.schema import Config  # which finds its paths by this


def path_arguments(family: str, name: str | None) -> set[str]:
    """The arguments of a function that are marked as paths; of all of the family where its name
    is none."""
    functions = FAMILIES[family].functions
    found = [name] if name in functions else list(functions)
    return {k for n in found for k, a in FAMILIES[family].arguments(n).items() if is_path(a.hint)}


def arguments_of_place(name: str | None) -> set[str]:
    """The arguments of a data set that say where it lies and how this machine reads it.

    Of all data sets where its name is none, as in a sweep over names.
    """
    functions = FAMILIES["data"].functions
    known = [FAMILIES["data"].arguments(n) for n in ([name] if name in functions else functions)]
    hints = [(k, argument.hint) for own in known for k, argument in own.items()]
    return {k for k, hint in hints if is_path(hint) or is_of_machine(hint)}


def make_absolute(tables: dict[str, Any], folder: str | os.PathLike[str]) -> None:
    """Make the paths in the tables of a file absolute, in place: so far they are of a folder."""
    _start_absolute(tables, folder)
    for family in FAMILIES:
        found = tables.get(family)
        for table in found if isinstance(found, list) else [found]:
            if not isinstance(table, dict):
                continue
            name = table.get("name")
            for key in path_arguments(family, name if isinstance(name, str) else None):
                if isinstance(table.get(key), str) and table[key]:
                    table[key] = os.path.abspath(os.path.join(folder, table[key]))


def _start_absolute(tables: dict[str, Any], folder: str | os.PathLike[str]) -> None:
    """The path in `[start]`, whose table names no function."""
    start = tables.get("start")
    if isinstance(start, dict) and isinstance(start.get("from"), str) and start["from"]:
        start["from"] = os.path.abspath(os.path.join(folder, start["from"]))


def without_paths(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a configuration without where its data lies and how it is read there."""
    data = tables.get("data", {})
    paths = arguments_of_place(data.get("name"))
    return {**tables, "data": {k: v for k, v in data.items() if k not in paths}}


def tables_with_paths_of(tables: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a configuration with its data where others, of the same data set, have it."""
    data = tables.get("data", {})
    paths = arguments_of_place(data.get("name"))
    moved = {k: v for k, v in other.get("data", {}).items() if k in paths}
    return {**tables, "data": data | moved}


def with_paths_of(config: "Config", other: "Config") -> "Config":
    """The configuration with its data where another one, of the same data set, has it."""
    source = config.data.source
    paths = arguments_of_place(source.name)
    moved = {k: v for k, v in other.data.source.arguments.items() if k in paths}
    arguments = {k: moved.get(k, v) for k, v in source.arguments.items()}
    return replace(config, data=replace(config.data, source=Choice(source.name, arguments)))
