"""What an optimizer and its `scale_by_*` multiply the direction by."""

import jax

from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.types import ScalarOrSchedule


def factor_at(
    learning_rate: ScalarOrSchedule | None,
    step: jax.Array,
    scale: jax.typing.ArrayLike | None = None,
) -> jax.Array | float:
    """`-eta` at a step, or 1 where there is no rate.

    An optimizer puts it where its equation has `-eta`. With 1 the same lines give the direction
    that `scale_by_*` returns, and `chain(scale_by_adam(), scale_by_learning_rate(eta))` is `adam`
    up to rounding.
    """
    return 1.0 if learning_rate is None else -value_at(learning_rate, step, scale)
