"""Learning rates that fall with the step by an argument of the optimizer."""

from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.types import ScalarOrSchedule


def inverse_time(learning_rate: ScalarOrSchedule, decay: float) -> ScalarOrSchedule:
    """`eta / (1 + decay t)`, t from 0; eta as it is where `decay` is the number 0."""
    if isinstance(decay, int | float) and decay == 0:
        return learning_rate
    return lambda step: value_at(learning_rate, step) / (1 + decay * step)


def is_off(number: object) -> bool:
    """Whether an optional part is left out: None or the number 0, never an array."""
    return number is None or (isinstance(number, int | float) and number == 0)
