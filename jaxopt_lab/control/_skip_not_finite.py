"""Skipping steps that are not finite."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.control.states import (
    inner_transformation,
    select_step,
    stays_finite,
    zero_where,
)
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Range, checked
from jaxopt_lab.core.tree import all_finite


class SkipNotFiniteState(NamedTuple):
    """Steps left out, in a row and in all, and the wrapped state."""

    in_a_row: jax.Array
    total: jax.Array
    inner: Any


@declare(place="wrapper", given={"inner": "inner"})
@checked
def skip_not_finite(
    inner: optax.GradientTransformation,
    *,
    max_consecutive: Annotated[int | None, Range(0)] = None,
) -> optax.GradientTransformationExtraArgs:
    """Leave out a step whose gradient holds NaN or infinity, or whose outcome would.

    Against a rare overflow, which would otherwise stay in the moments for good. The square of a
    gradient of 1e20 is infinite, so what the step makes of the state is looked at, too: a number in
    it that was finite must stay so.

        u <- 0, state of `inner` as it was    where some g, u or number of the state is not finite

    What controls inside observe of such a call, they keep. The choice is a select and not a branch,
    so each lane of a `vmap` has its own.

    Args:
      inner: what does not see such a gradient: an optimizer or a whole chain.
      max_consecutive: how many in a row are left out; the next is let through, so that a run that
        is lost shows it. None for all of them.

    Returns:
      A transformation; state `SkipNotFiniteState(in_a_row, total, inner)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `optax.apply_if_finite`, which needs a limit and branches.
    """
    inner = inner_transformation(inner)

    def init(params):
        return SkipNotFiniteState(
            in_a_row=jnp.zeros([], jnp.int32),
            total=jnp.zeros([], jnp.int32),
            inner=inner.init(params),
        )

    def update(updates, state, params=None, **extra):
        grads_are_finite = all_finite(updates)
        updates, new = inner.update(updates, state.inner, params, **extra)
        bad = ~(grads_are_finite & all_finite(updates) & stays_finite(state.inner, new))
        in_a_row = jnp.where(bad, optax.safe_increment(state.in_a_row), 0)
        total = jnp.where(bad, optax.safe_increment(state.total), state.total)
        skip = bad if max_consecutive is None else bad & (in_a_row <= max_consecutive)
        new = select_step(~skip, new, state.inner)
        return zero_where(skip, updates), SkipNotFiniteState(in_a_row, total, new)

    return optax.GradientTransformationExtraArgs(init, update)
