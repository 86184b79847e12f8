"""What every schedule shares: whole steps of any size in, a float scalar out."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.notebook import fragment
from jaxopt_lab.schedules.curve import curve_of

LAST_STEP = 2**31 - 1


def as_step(step: jax.typing.ArrayLike) -> jax.Array:
    """A count of steps as int32; a larger one is held at the largest int32."""
    if isinstance(step, Integral):
        return jnp.asarray(min(int(step), LAST_STEP), jnp.int32)
    return jnp.minimum(jnp.asarray(step), LAST_STEP).astype(jnp.int32)


class OfStep:
    """A schedule, `step -> scalar`: float32, and float64 under x64. It also tells what it is.

    Attributes:
      name, arguments: of the function that made it, and what that was given; "" for none.
    """

    def __init__(
        self,
        function: Callable[[jax.Array], jax.typing.ArrayLike],
        name: str = "",
        arguments: Mapping[str, Any] = MappingProxyType({}),
    ):
        self._function = function
        self.name = name
        self.arguments = arguments

    def __call__(self, step: jax.typing.ArrayLike) -> jax.Array:
        return jnp.asarray(self._function(as_step(step)), float)

    def __repr__(self) -> str:
        given = {k: v for k, v in self.arguments.items() if v is not None}
        words = [f"{k}={_shown(v)}" for k, v in given.items() if not isinstance(v, tuple) or v]
        return f"{self.name or 'schedule'}({', '.join(words)})"

    def _repr_html_(self) -> str:
        given = list(_leaves(self))
        traced = any(not is_concrete(v) for v in given)
        counts = [] if traced else [int(v) for v in given if _is_count(v)]
        return fragment(repr(self), "", [] if traced else [curve_of(self, counts)])


def of_step(function: Callable[[jax.Array], jax.typing.ArrayLike]) -> OfStep:
    """A schedule from a function of an int32 step."""
    return OfStep(function)


def described(make: Callable[..., OfStep]) -> Callable[..., OfStep]:
    """Let the schedules that a function makes say by which function and arguments."""
    known = inspect.signature(make)

    @functools.wraps(make)
    def wrapper(*args, **kwargs):
        bound = known.bind(*args, **kwargs)
        bound.apply_defaults()
        return OfStep(make(*args, **kwargs)._function, make.__name__, dict(bound.arguments))

    return wrapper


def _leaves(value: Any) -> Iterator[Any]:
    """The numbers among the arguments of a schedule, and of those that it joins."""
    if isinstance(value, OfStep):
        value = list(value.arguments.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, float | np.floating | np.ndarray | jax.Array) and np.ndim(value) == 0:
        return f"{float(value):g}" if is_concrete(value) else "..."
    return repr(value)


def _is_count(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    whole = isinstance(value, Integral) or jnp.issubdtype(
        getattr(value, "dtype", float), jnp.integer
    )
    return whole and np.ndim(value) == 0 and int(value) > 0
