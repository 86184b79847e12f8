"""What an array is, beside its shape and dtype."""

from typing import Any

from jax.core import Tracer


def is_concrete(x: Any) -> bool:
    """Whether its numbers can be looked at now: it is not traced."""
    return not isinstance(x, Tracer)
