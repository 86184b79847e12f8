"""Matrix products at the precision of their operands."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """`function` with all matrix products in it at JAX's precision "highest".

    A TPU multiplies float32 in bfloat16 by default and a GPU in TF32: near enough for a layer of a
    network, and too coarse for what is inverted, orthogonalized or compared.
    """

    @functools.wraps(function)
    def precise(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return precise
