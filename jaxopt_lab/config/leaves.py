"""A configuration as a flat mapping, and one with some of its values replaced."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import Choice

Path = tuple[str | int, ...]


def leaves(config: Config) -> dict[Path, Any]:
    """Every value by its path: `("optimizer", "learning_rate")`, `("augment", 0, "padding")`."""
    return dict(_walk((), config))


def replaced(config: Config, values: Mapping[Path, Any]) -> Config:
    """The configuration with other values at some paths of `leaves`; traced arrays may be there."""
    for path, value in values.items():
        config = _put(config, path, value)
    return config


def _walk(path: Path, value: Any):
    if isinstance(value, Choice):
        yield (*path, "name"), value.name
        for key, item in value.arguments.items():
            yield from _walk((*path, key), item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _walk((*path, field.name), getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk((*path, key), item)
    elif isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
        for i, item in enumerate(value):
            yield from _walk((*path, i), item)
    else:
        yield path, value


def _put(place: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    key: Any = path[0]
    rest = path[1:]
    if isinstance(place, Choice):
        within = _put(place.arguments.get(key), rest, value)
        return dataclasses.replace(place, arguments={**place.arguments, key: within})
    if isinstance(place, Mapping):
        return {**place, key: _put(place[key], rest, value)}
    if isinstance(place, tuple):
        return tuple(_put(item, rest, value) if i == key else item for i, item in enumerate(place))
    return dataclasses.replace(place, **{key: _put(getattr(place, key), rest, value)})
