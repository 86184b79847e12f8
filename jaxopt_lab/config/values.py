"""A value of a TOML file against an annotation."""

import math
import os
import re
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from jaxopt_lab.core.ranges import MOST_COUNT, Duration, IsPath, Range, fault, marks, words_of
from jaxopt_lab.core.types import Schedule

MOST_NUMBER = 2.0**128 - 2.0**104
"""The largest of float32, in which a run computes."""

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(%|epochs?|steps?)")
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


class _Mismatch(Exception):
    """The value is of another type than the annotation."""


def conform(hint: Any, value: Any) -> tuple[Any, str | None]:
    """The value as its annotation wants it (int to float, list to tuple), and what is wrong.

    Args:
      hint: an annotation; of a union, the members that a TOML value can be.
      value: a bool, int, float, str, list or dict.

    Returns:
      The value, and None or a message that says what was expected and what came.
    """
    try:
        value, wrong = _conform(hint, value)
        return value, wrong or fault(hint, value)
    except _Mismatch:
        return value, f"must be {expected(hint)}, got {_shown(value)}"


def expected(hint: Any) -> str:
    """What a value of this annotation may be, in words."""
    return _word(hint) or "a value"


def takes_toml(hint: Any) -> bool:
    """Whether a value of a file can meet the annotation; functions and arrays cannot be in one."""
    return hint is Any or _word(hint) is not None


def varies(hint: Any) -> bool:
    """Whether the annotation takes a schedule, which a file gives as a table with its name."""
    if typing.get_origin(hint) is Annotated:
        return varies(typing.get_args(hint)[0])
    return Schedule in typing.get_args(hint)


def in_steps(value: int | str, *, total: int, steps_per_epoch: int) -> int:
    """A length in steps, at least 1: a count as it is, traced perhaps; epochs and percent of the
    run converted."""
    if not isinstance(value, str):
        return value
    match = _LENGTH.fullmatch(value.strip())
    assert match, value  # `conform` has let it through
    number, unit = float(match[1]), match[2]
    one = total / 100 if unit == "%" else steps_per_epoch if unit.startswith("epoch") else 1
    return max(1, round(min(number * one, MOST_COUNT)))


def _conform(hint: Any, value: Any) -> tuple[Any, str | None]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:  # of a function without annotations
        return value, None
    if origin is Annotated:
        if isinstance(value, str) and any(isinstance(m, Duration) for m in marks(hint)):
            match = _LENGTH.fullmatch(value.strip())
            if not match or not float(match[1]):
                raise _Mismatch
            return value, None
        value, wrong = _conform(arguments[0], value)
        if isinstance(value, str) and IsPath() in marks(hint):
            value, wrong = _absolute(value)
        return value, wrong or fault(hint, value)
    if _is_union(hint):
        for member in arguments:
            try:
                return _conform(member, value)
            except _Mismatch:
                continue
        raise _Mismatch
    if origin is Literal and isinstance(value, type(arguments[0])):
        return value, fault(hint, value)
    if _is_list(hint) and isinstance(value, list | tuple):
        found = [_conform(_item(hint), v) for v in value]
        wrong = next((text for _, text in found if text), None)
        kind = list if list in (hint, origin) else tuple
        return kind(v for v, _ in found), wrong and f"holds a value that {wrong}"
    if hint is float and type(value) in (int, float):
        try:
            number = float(value)
        except OverflowError:
            return value, "is too large for a number"
        if MOST_NUMBER < abs(number) < math.inf:
            return number, f"must be at most {MOST_NUMBER:.3g} in size, got {value!r}"
        return number, None
    if hint in (bool, int, str) and type(value) is hint:
        return value, None
    raise _Mismatch


def _absolute(path: str) -> tuple[str, str | None]:
    """A path of the working directory as an absolute one."""
    if not path or "\0" in path:
        return path, f"must be a path, got {path!r}"
    return os.path.abspath(path), None


def _is_list(hint: Any) -> bool:
    """Whether it is a list of any length: `Sequence[X]`, `list[X]`, `tuple[X, ...]`."""
    if hint in (list, tuple, Sequence):
        return True
    whole = typing.get_args(hint)[1:] == (...,)
    return typing.get_origin(hint) in (Sequence, list) or (
        typing.get_origin(hint) is tuple and whole
    )


def _item(hint: Any) -> Any:
    return (typing.get_args(hint) or (Any,))[0]


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _word(hint: Any) -> str | None:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        if words := words_of(hint):
            return " or ".join(f'"{word}"' for word in words)
        ranges = [str(m) for m in marks(hint) if isinstance(m, Range)]
        lengths = ['or a length, "5 epochs" or "10%"' for m in marks(hint) if m == Duration()]
        word = _WORDS[int] if lengths else _word(arguments[0])
        if IsPath() in marks(hint):
            return "a path"
        return word and " ".join([word, *ranges, *lengths])
    if _is_union(hint):
        return " or ".join(dict.fromkeys(filter(None, map(_word, arguments)))) or None
    if origin is Literal:
        return " or ".join(f'"{w}"' if isinstance(w, str) else str(w) for w in arguments)
    if _is_list(hint):
        each = _word(_item(hint))
        return f"a list, each {each}" if each else "a list" if _item(hint) is Any else None
    return _WORDS.get(hint)


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
