"""What an argument may be, written once, in the signature.

A function's annotations say which numbers and which words it takes; `@checked` holds Python values
to them when the function is called, and the config reads the same annotations before anything is.
"""

import contextlib
import functools
import inspect
import math
import numbers
import sys
import types
import typing
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import jax

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.renames import renames_of
from jaxopt_lab.core.signatures import signature_of
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
        if self.high == math.inf:
            return f"{'>' if self.low_open else '>='} {self.low:g}"
        left, right = "(["[not self.low_open], ")]"[not self.high_open]
        return f"in {left}{self.low:.10g}, {self.high:.10g}{right}"


MOST_COUNT = 2**31 - 1
"""Of a whole number without a bound of its own: JAX counts in int32."""


@dataclass(frozen=True)
class Duration:
    """Marks an `int` that counts steps, which a config may also give in epochs or percent."""


@dataclass(frozen=True)
class OneOf:
    """Marks a `str` that is one of some words, which may become more while a program runs.

    Attributes:
      words: gives those that there are now.
    """

    words: Callable[[], Collection[str]]


@dataclass(frozen=True)
class IsPath:
    """Marks a `str` that is the path of a file or a folder.

    In a configuration it is relative to the file that says it, and on a command line to the
    working directory; what was read holds it absolute.
    """


@dataclass(frozen=True)
class OfMachine:
    """Marks what suits a machine and leaves no trace in a run, which may go on with another."""


FilePath = Annotated[str, IsPath()]
# A rate may pass through 0 on a schedule; as one number it must move.
LearningRate = Annotated[ScalarOrSchedule, Range(0, math.inf, low_open=True, high_open=True)]
Momentum = Annotated[ScalarOrSchedule, Range(0, 1, high_open=True)]
Decay = Annotated[float, Range(0, 1, high_open=True)]
OpenDecay = Annotated[float, Range(0, 1, low_open=True, high_open=True)]
Positive = Annotated[float, Range(0, math.inf, low_open=True, high_open=True)]
NonNegative = Annotated[float, Range(0, math.inf, high_open=True)]
Probability = Annotated[float, Range(0, 1)]
Count = Annotated[int, Range(1)]
Steps = Annotated[int, Range(1), Duration()]

MOST_DEPTH, MOST_REPEATS = 2000, 10_000
Depth = Annotated[int, Range(1, MOST_DEPTH)]
"""Of what a program holds written out, one after another: it is traced and compiled one by one. The
deepest network of the literature has 1,202 layers (He et al., 2016)."""

Repeats = Annotated[int, Range(1, MOST_REPEATS)]
"""How often one training step does the same over again, in a loop that nothing interrupts."""


def require_number(method: str, **arguments: Any) -> None:
    """Make sure that arguments that decide shapes are numbers of Python.

    Raises:
      ArgumentError: where one is an array of JAX, as `optax.inject_hyperparams` makes of them all.
    """
    arrays = tuple(name for name, value in arguments.items() if isinstance(value, jax.Array))
    if arrays:
        text = (
            "must be a number of Python, because shapes depend on it, got an array of JAX; "
            f"optax.inject_hyperparams leaves it one with static_args={arrays!r}"
        )
        raise ArgumentError(method, dict.fromkeys(arrays, text))


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of what a function or a class is called with, with their ranges.

    One that cannot be resolved, as a name that only a type checker imports, is left out.
    """
    try:
        return dict(_hints(function))
    except TypeError:  # it has no hash
        return _hints.__wrapped__(function)


@functools.lru_cache(maxsize=1024)  # each run of a sweep asks again
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    plain = inspect.unwrap(function)
    if isinstance(plain, types.FunctionType):
        with contextlib.suppress(Exception):  # whatever an annotation raises where it is evaluated
            return typing.get_type_hints(plain, include_extras=True)
    return _one_by_one(function)


def _one_by_one(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations that can be resolved, of anything that can be called."""
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    module = getattr(inner, "__module__", None) or type(inner).__module__
    scope = vars(sys.modules[module]) if module in sys.modules else {}
    found = {}
    for name, parameter in signature_of(function).parameters.items():
        if parameter.annotation is not inspect.Parameter.empty:
            alone = types.SimpleNamespace(__annotations__={name: parameter.annotation})
            with contextlib.suppress(Exception):
                found |= typing.get_type_hints(alone, globalns=scope, include_extras=True)
    return found


def marks(hint: Any) -> tuple[Any, ...]:
    """What `Annotated` adds to a type: ranges, durations, paths."""
    return typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()


def words_of(hint: Any) -> tuple[Any, ...]:
    """The words that an annotation allows, where it allows only some."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    return tuple(word for m in marks(hint) if isinstance(m, OneOf) for word in m.words())


def is_path(hint: Any) -> bool:
    """Whether an annotation, or a member of it, is marked as a path."""
    return _is_marked(hint, IsPath)


def is_of_machine(hint: Any) -> bool:
    """Whether an annotation, or a member of it, is marked as a machine's own."""
    return _is_marked(hint, OfMachine)


def _is_marked(hint: Any, kind: type) -> bool:
    if any(isinstance(mark, kind) for mark in marks(hint)):
        return True
    return any(_is_marked(member, kind) for member in typing.get_args(hint))


def fault(hint: Any, value: Any) -> str | None:
    """What is wrong with a value under its annotation, or None.

    Looks at Python and NumPy numbers, at words where only some are allowed, and into sequences of
    these; never at arrays, which may be traced, nor at schedules, which are functions.
    """
    origin = typing.get_origin(hint)
    words = words_of(hint)
    if words and value not in words and (origin is Literal or isinstance(value, str)):
        allowed = " or ".join(repr(word) for word in words)
        return f"must be {allowed}, got {value!r}{nearest(str(value), map(str, words))}"
    if origin is Sequence and isinstance(value, numbers.Number):
        return f"must be a list or tuple, got {value!r}; ({value!r},) is one"
    if origin is Sequence and isinstance(value, list | tuple):
        (item,) = typing.get_args(hint)
        if _counts(item) and len(value) > MOST_DEPTH:  # of layers, one after another
            return f"must hold at most {MOST_DEPTH:,} numbers, got {len(value):,}"
        texts = (fault(item, v) for v in value)
        return next((f"holds a value that {text}" for text in texts if text), None)
    if origin in (typing.Union, types.UnionType):
        others = {Literal} if isinstance(value, list | tuple) else {Literal, Sequence}
        members = [m for m in typing.get_args(hint) if typing.get_origin(m) not in others]
        return next(filter(None, (fault(member, value) for member in members)), None)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        ranges = [m for m in marks(hint) if isinstance(m, Range)]
        number, bounded = typing.cast(float, value), any(m.high < math.inf for m in ranges)
        if _counts(hint) and not bounded and abs(number) > MOST_COUNT:
            return f"must be at most {MOST_COUNT:,}, got {number:,}"
        wrong = [m for m in ranges if number not in m]
        if not wrong:
            return None
        finite = " and finite" if value == wrong[0].high == math.inf else ""
        return f"must be {wrong[0]}{finite}, got {value!r}"
    return None


def _counts(hint: Any) -> bool:
    """Whether the annotation takes whole numbers and no others."""
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    kinds = (kind, *typing.get_args(kind))
    return int in kinds and float not in kinds


def checked(function: F) -> F:
    """Hold the values given to `function` to its annotations.

    Raises:
      ArgumentError: from the decorated function, naming every argument that is out of range or has
        another name now.
    """
    signature, renames = inspect.signature(function), renames_of(function)
    annotations: dict[str, Any] = {}  # filled at the first call: hints may refer to later names

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        if not annotations:
            annotations.update(hints(function))
        if old := {k: f"was renamed {new}" for k, new in renames.items() if k in kwargs}:
            raise ArgumentError(function.__name__, old)
        bound = signature.bind(*args, **kwargs).arguments
        texts = {name: fault(annotations.get(name), value) for name, value in bound.items()}
        faults = {name: text for name, text in texts.items() if text}
        if faults:
            raise ArgumentError(function.__name__, faults)
        return function(*args, **kwargs)

    vars(wrapper)["__signature__"] = _for_people(signature)
    return typing.cast(F, wrapper)


class _Named:
    """An annotation that `help` shows by the name of the alias that it was written with.

    `typing.get_type_hints` of the function gives it whole.
    """

    def __init__(self, annotation: Any):
        self.annotation = annotation

    def __repr__(self) -> str:
        for name, value in globals().items():
            if value == self.annotation:
                return name
        base = inspect.formatannotation(typing.get_args(self.annotation)[0])
        return " ".join([base, *(str(mark) for mark in marks(self.annotation))])


def _for_people(signature: inspect.Signature) -> inspect.Signature:
    parameters = [
        p.replace(annotation=_Named(p.annotation)) if marks(p.annotation) else p
        for p in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)
