"""The programs of JAX within a program: the bodies of its loops, branches and calls."""

from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr


def programs_in(value: Any) -> list[Jaxpr]:
    """Those that a parameter of an equation holds, itself or in its lists, in their order."""
    if isinstance(value, ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [found for item in value for found in programs_in(item)]
    return []
