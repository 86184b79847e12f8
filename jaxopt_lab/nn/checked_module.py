"""A Linen module that holds its fields to their annotations."""

import dataclasses

import flax.linen as nn

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import fault


def check_fields(module: nn.Module) -> None:
    """What `@checked` is to a function.

    Raises:
      ArgumentError: naming every field that is out of its range.
    """
    fields = {f.name: f.type for f in dataclasses.fields(module)}
    faults = {name: fault(hint, getattr(module, name)) for name, hint in fields.items()}
    wrong = {name: text for name, text in faults.items() if text}
    if wrong:
        raise ArgumentError(type(module).__name__, wrong)


class CheckedModule(nn.Module):
    """A Flax module that checks its fields when it is constructed."""

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()
