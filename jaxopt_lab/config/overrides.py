"""Changes to the tables of a file: `--set`, `--unset` and the values of an axis."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxopt_lab.config.paths import family_of, own_fields
from jaxopt_lab.config.sections import LISTS
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.config.toml import TomlError, TooLargeError, read_toml
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.readable import shortened
from jaxopt_lab.core.registry import nearest

Say = Callable[[str], None]


def override(
    tables: dict[str, Any],
    overrides: Iterable[str] = (),
    unset: Iterable[str] = (),
    say: Say = warnings.warn,
) -> None:
    """Change tables in place.

    Args:
      tables: as `tomllib` gives them.
      overrides: `"table.key=value"`, the value as TOML; a bare word is a string. Names first: what
        another name does not take is left out before anything is set for it.
      unset: `"table.key"` to remove, of the tables as they were.
      say: told of what was left out.

    Raises:
      InputError: naming what was given, and what was expected.
    """
    # From the back, so that the numbers of a list are those of the file.
    sources = [(path, f"--unset {shortened(path)}") for path in unset]
    removals = [(_keys(path, source), source) for path, source in sources]
    removals.sort(key=lambda pair: [_order(k) for k in pair[0]], reverse=True)
    for keys, source in removals:
        _remove(tables, keys, source)
    changes = [_parsed(text) for text in overrides]
    for keys, value, source in sorted(changes, key=lambda change: change[0][-1] != "name"):
        put(tables, keys, value, source, say)


def put(
    tables: dict[str, Any],
    path: str | tuple[str, ...],
    value: Any,
    source: str,
    say: Say = warnings.warn,
) -> None:
    """Put a value into the tables at its path, dotted or in parts.

    Where it is another function's name, the arguments that this one does not take are left out.

    Args:
      tables: changed in place.
      path: "optimizer.learning_rate" or ("augment", "0", "name").
      value: as TOML has it.
      source: is named in what is wrong.
      say: told of what was left out.
    """
    keys = _placed(tables, tuple(path.split(".")) if isinstance(path, str) else path)
    place: Any = tables
    for key in keys[:-1]:
        if isinstance(place, list):
            place = place[_index(place, key, source)]
        else:
            place = place.setdefault(key, {})
        if not isinstance(place, dict | list):
            raise InputError(f"{source}: {key!r} is a value, not a table")
    if isinstance(place, list):
        if place and isinstance(place[0], dict):
            raise InputError(f"{source}: name one of the list, {'.'.join(keys[:-1])}.0 ...")
        place[_index(place, keys[-1], source)] = value
        return
    if keys[-1] == "name":
        _rename(place, keys[:-1], value, say)
    place[keys[-1]] = value
    if keys in (("train", "steps"), ("train", "epochs")):  # the one takes the place of the other
        place.pop("epochs" if keys[-1] == "steps" else "steps", None)


def standing_at(tables: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What stands at a path, in parts; None where nothing does."""
    place: Any = tables
    for key in _placed(tables, path):
        if isinstance(place, list):
            place = dict(enumerate(place)).get(int(key)) if key.isdecimal() else None
        else:
            place = place.get(key) if isinstance(place, dict) else None
    return place


def _rename(table: dict[str, Any], keys: tuple[str, ...], new: Any, say: Say) -> None:
    family, old = family_of(keys), table.get("name")
    if family is None or old == new:
        return
    functions = FAMILIES[family].functions
    if not all(isinstance(name, str) and name in functions for name in (old, new)):
        return  # what is wrong is said when it is parsed
    taken = FAMILIES[family].arguments(new).keys() | own_fields(keys[0]).keys() | {"name"}
    left_out = [key for key in table if key not in taken]
    for key in left_out:
        del table[key]
    if left_out:
        path = ".".join(keys)
        names = ", ".join(f"{path}.{key}" for key in left_out)
        say(f"{path}.name = {new!r} in place of {old!r}: left out {names}")


def _remove(tables: dict[str, Any], keys: tuple[str, ...], source: str) -> None:
    place: Any = tables
    keys = _placed(tables, keys)
    for depth, name in enumerate(keys):
        key: Any = name
        if isinstance(place, list):
            key = _index(place, name, source)
        elif not isinstance(place, dict) or key not in place:
            where = f"in [{'.'.join(keys[:depth])}]" if depth else "in the file"
            known = list(place) if isinstance(place, dict) else []
            raise InputError(
                f"{source}: there is no {key!r} {where}{nearest(key, known)}; "
                f"there is {', '.join(known) or 'nothing'}"
            )
        if depth == len(keys) - 1:
            del place[key]
        else:
            place = place[key]


def _placed(tables: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    """A path whose list has one member, written as a table of its own."""
    alone = keys[1:2] == ("0",) and keys[0] in LISTS and isinstance(tables.get(keys[0]), dict)
    return (keys[0], *keys[2:]) if alone else keys


def _index(place: list[Any], key: str, source: str) -> int:
    if not key.isdecimal() or int(key) >= len(place):
        raise InputError(f"{source}: {key!r} must be an index below {len(place)}")
    return int(key)


def _order(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdecimal() else (-1, key)


def _parsed(text: str) -> tuple[tuple[str, ...], Any, str]:
    """The path, the value and how it was given, of `a.b=value`."""
    source = f"--set {shortened(text)}"
    path, equals, value = text.partition("=")
    keys = _keys(path if equals else "", source, "table.key=value, optimizer.momentum=0.9")
    return keys, parsed_value(value, source, path.strip()), source


def parsed_value(text: str, source: str, path: str) -> Any:
    """A value of the command line; a bare word is a string.

    Raises:
      InputError: where it is none, with the quotes that it may want.
    """
    try:
        return read_toml(f"value = {text}")["value"]
    except TooLargeError as error:
        raise InputError(f"{source}: {error}") from None
    except TomlError:
        text = text.strip()
        if text.replace("_", "").isalnum():
            return text
        option = source.split()[0]
        quoted = text.replace('"', "").replace("'", "")
        text, quoted = shortened(text), shortened(quoted)
        raise InputError(
            f"{source}: {text!r} is no TOML value. A shell takes quotes away; for a text keep them "
            f"within others: {option} '{path}=\"{quoted}\"'"
        ) from None


def _keys(path: str, source: str, form: str = "table.key, model.hidden") -> tuple[str, ...]:
    """`a.0."b.c"` as its parts."""
    try:
        place: Any = read_toml(f"{path} = 0")
    except TomlError:
        raise InputError(f"{source}: expected {form} for one") from None
    keys = []
    while isinstance(place, Mapping):
        (key, place) = next(iter(place.items()))
        keys.append(key)
    return tuple(keys)
