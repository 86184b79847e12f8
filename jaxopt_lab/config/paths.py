"""What stands at a path of a configuration: which family's function, and what its values may be."""

import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxopt_lab.config.sections import DataConfig, GroupConfig, LogConfig, StartConfig, TrainConfig
from jaxopt_lab.config.tables import FAMILIES

_OWN = {
    "data": typing.get_type_hints(DataConfig, include_extras=True),
    "train": typing.get_type_hints(TrainConfig, include_extras=True),
    "log": typing.get_type_hints(LogConfig, include_extras=True),
    "group": typing.get_type_hints(GroupConfig, include_extras=True),
    "optimizer": {"layer_decay": float},
    "loss": {"consistency": float, "class_weights": Any},
    "linear": {"lam": float},
    "start": {"from": str, **typing.get_type_hints(StartConfig, include_extras=True)},
}


def family_of(keys: Sequence[str]) -> str | None:
    """The family of the function that the table at this path names; None for a table of none."""
    tables = [key for key in keys if not key.isdecimal()]
    if tables[:2] == ["group", "optimizer"]:
        tables = tables[1:]
    if not tables or tables[0] not in FAMILIES:
        return None
    return tables[0] if len(tables) == 1 else "schedule"  # a table within one is an argument's


def without_places(keys: Sequence[str]) -> tuple[str, ...]:
    """The path of a list, where this is one of a place in it, or in a list that it holds."""
    own = tuple(keys)
    while own and own[-1].isdecimal():
        own = own[:-1]
    return own


def own_fields(table: str) -> Mapping[str, Any]:
    """The annotations of what a table holds beside the arguments of the function that it names."""
    return _OWN.get(table, {})


def is_whole(keys: Sequence[str], names: Iterable[str]) -> bool:
    """Whether the value at this path is a whole number and no other.

    Args:
      keys: the path in parts, a table and what is in it.
      names: of functions that the table may name.
    """
    *table, key = without_places(keys) or ("",)
    if not table:
        return False
    hints = [own_fields(table[0]).get(key)]
    if family := family_of(table):
        known = [name for name in names if name in FAMILIES[family].functions]
        arguments = [FAMILIES[family].arguments(name).get(key) for name in known]
        hints += [argument.hint for argument in arguments if argument]
    return any(_takes(int, hint) and not _takes(float, hint) for hint in hints)


def _takes(kind: type, hint: Any) -> bool:
    """Whether a number of this kind can meet the annotation, alone or in its list."""
    return hint is kind or any(_takes(kind, member) for member in typing.get_args(hint))
