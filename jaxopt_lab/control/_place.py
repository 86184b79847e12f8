"""Where a control stands in the chain."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

F = TypeVar("F", bound=Callable[..., Any])

Place = Literal["gradients", "updates", "wrapper"]
"""Before the optimizer, after it, or around it and all else."""


def placed(place: Place) -> Callable[[F], F]:
    """Declare a control's place, which fixes the order of a chain whatever the order in a file."""
    assert place in get_args(Place)

    def declare(control: F) -> F:
        control.__dict__["place"] = place
        return control

    return declare


def place_of(control: Callable[..., Any]) -> Place:
    """The place that a control declares; "gradients" where it declares none, as an optax member."""
    return control.__dict__.get("place", "gradients")
