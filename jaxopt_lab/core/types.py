"""The names that every family shares."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Params = Any
"""A pytree of arrays: Linen, NNX, Equinox or bare."""

Batch = dict[str, jax.Array]
"""`{"x": (B, ...), "y": (B,) | (B, K) | (B, ...)}`, and optionally `"weight": (B,)`."""

Schedule = Callable[[jax.typing.ArrayLike], jax.Array]
"""`step -> float32 scalar`, for every step >= 0."""

ScalarOrSchedule = float | jax.Array | Schedule


class Metric(NamedTuple):
    """A measured number given to a transformation, and whether it is new at this call."""

    value: jax.Array
    ready: jax.Array
