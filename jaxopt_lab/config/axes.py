"""The values of a hyperparameter to try: a number, a list or a range."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

RANGES: dict[str, Callable[..., np.ndarray]] = {"log": np.geomspace, "linear": np.linspace}
MOST = 10_000


def axis_values(value: Any) -> tuple[tuple[float, ...], str | None]:
    """What a file gives as numbers, and what is wrong with it.

    Args:
      value: a number, a list of numbers, `{log = [1e-4, 1.0], n = 16}` or
        `{linear = [0.0, 1.0], n = 11}`.

    Returns:
      The numbers, and None or a message that says what was expected and what came.
    """
    if _is_number(value):
        return (float(value),), None
    if isinstance(value, list | tuple) and value and all(map(_is_number, value)):
        return tuple(map(float, value)), None
    if isinstance(value, dict) and len(value) == 2 and "n" in value:
        (kind,) = value.keys() - {"n"}
        ends, n = value[kind], value["n"]
        if (
            kind in RANGES
            and isinstance(ends, list)
            and len(ends) == 2
            and all(map(_is_number, ends))
            and type(n) is int
            and 1 <= n <= MOST
            and (kind != "log" or min(ends) > 0)
        ):
            return tuple(float(v) for v in RANGES[kind](*ends, n)), None
    text = "must be a number, a list of numbers, {log = [low > 0, high], n = 16} or {linear = ...}"
    return (), f"{text}, got {value!r}"


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
