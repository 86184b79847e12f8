"""Ranges of numeric arguments, written once, in the signature.

A function's annotations say what each number may be, `@checked` holds Python numbers to it when the
function is called, and the config reads the same annotations before anything is called.
"""

import functools
import inspect
import math
import numbers
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.types import ScalarOrSchedule

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Range:
    """An interval of numbers; each end is open or closed. NaN is in no range."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return bool(above and below)

    def __str__(self) -> str:
        left = "<" if self.low_open else "<="
        right = "<" if self.high_open else "<="
        if self.high == math.inf:
            return f"{'>' if self.low_open else '>='} {self.low:g}"
        if self.low == -math.inf:
            return f"{right} {self.high:g}"
        return f"{self.low:g} {left} x {right} {self.high:g}"


POSITIVE = Range(0, low_open=True)
NON_NEGATIVE = Range(0)
BELOW_ONE = Range(0, 1, high_open=True)
UNIT = Range(0, 1)

# A learning rate may be 0 at a point of a schedule; as a number it must move.
LearningRate = Annotated[ScalarOrSchedule, POSITIVE]
Decay = Annotated[ScalarOrSchedule, BELOW_ONE]
Positive = Annotated[float, POSITIVE]
NonNegative = Annotated[float, NON_NEGATIVE]
Probability = Annotated[float, UNIT]
Count = Annotated[int, Range(1)]


@dataclass(frozen=True)
class Duration:
    """Marks an `int` argument that counts steps, which a config may give in epochs or percent."""


Steps = Annotated[int, Range(1), Duration()]


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function or class, with their ranges."""
    target = function.__init__ if inspect.isclass(function) else inspect.unwrap(function)
    return typing.get_type_hints(target, include_extras=True)


def marks(hint: Any) -> tuple[Any, ...]:
    """What `Annotated` adds to a type: ranges and durations."""
    return typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()


def fault(hint: Any, value: Any) -> str | None:
    """What is wrong with a number under its annotation, or None.

    Only Python and NumPy numbers are looked at: arrays may be traced, schedules are functions.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Number):
        return None
    for mark in marks(hint):
        if isinstance(mark, Range) and value not in mark:
            return f"must be {mark}, got {value!r}"
    return None


def checked(function: F) -> F:
    """Hold the numbers given to `function` to the ranges in its annotations.

    Raises:
      ArgumentError: from the decorated function, naming every argument that is out of range.
    """
    signature = inspect.signature(function)
    annotations: dict[str, Any] = {}  # filled at the first call: hints may refer to later names

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        if not annotations:
            annotations.update(hints(function))
        bound = signature.bind(*args, **kwargs).arguments
        found = {name: fault(annotations.get(name), value) for name, value in bound.items()}
        faults = {name: text for name, text in found.items() if text}
        if faults:
            raise ArgumentError(function.__name__, faults)
        return function(*args, **kwargs)

    return typing.cast(F, wrapper)
