"""Metrics as a person reads them."""

import math
from collections.abc import Mapping
from typing import Any

from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.metrics import ROBUST, measure_of

LOSS = "loss"


def is_share(name: str) -> bool:
    """Whether the metric of this name is a share of the samples, which is shown in percent."""
    function = FAMILIES["metric"].functions.get(measure_of(name))
    return function is not None and declared(function).share


def in_words(name: str, value: float, digits: int = 2) -> str:
    """A value of the metric of this name: a share in percent, another number in 4 digits."""
    if is_share(name):
        return f"{value:.{digits}%}"
    return f"{value:.4f}" if name == LOSS else f"{value:.4g}"


def decimals_beside(spread: float, *, most: int) -> int:
    """How many decimals show two digits of a spread that stands behind a value; 4 of none."""
    digits = 1 - math.floor(math.log10(spread)) if spread > 0 else 4
    return min(max(digits, 0), most)


def numbers_of(test: Mapping[str, Any]) -> dict[str, float]:
    """The scores of a test that are numbers, metrics first; those that are arrays left out."""
    scalars = {k: v for k, v in test.items() if not isinstance(v, list)}
    return {k: v for k, v in scalars.items() if k != LOSS} | {
        k: v for k, v in scalars.items() if k == LOSS
    }


def headline(test: Mapping[str, Any]) -> str:
    """The score that a result is told by: the first metric, or else the loss."""
    own = [name for name in numbers_of(test) if not name.startswith(ROBUST)]
    return f"test {label(own[0])} {in_words(own[0], test[own[0]])}" if own else ""


def label(name: str) -> str:
    """A metric of the test split by its name, "accuracy, attacked" of "robust_accuracy"."""
    if name.startswith(ROBUST):
        return f"{name.removeprefix(ROBUST)}, attacked".replace("_", " ")
    return name.replace("_", " ")
