"""Skipping steps that are not finite."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.control.states import inner_transformation, select_step, zero_where
from jaxopt_lab.core.declare import declare, reads
from jaxopt_lab.core.ranges import Range, checked
from jaxopt_lab.core.tree import all_finite, find_state, stays_finite


class SkipNotFiniteState(NamedTuple):
    """What was left out, and the wrapped state.

    Attributes:
      in_a_row: steps left out up to now without one between them that was not, int32.
      total: steps left out in all, int32.
      gave_up: bool, for good: more in a row were not finite than are left out.
      inner: state of the wrapped transformation.
    """

    in_a_row: jax.Array
    total: jax.Array
    gave_up: jax.Array
    inner: Any


def _gave_up(opt_state: Any) -> jax.Array:
    state = find_state(opt_state, "skip_not_finite", SkipNotFiniteState)
    return jnp.where(state.gave_up, state.in_a_row, 0)


@declare(
    place="wrapper",
    role="skip_not_finite",
    given={"inner": "inner"},
    stopped=reads(SkipNotFiniteState, "gave_up"),
    gave_up=_gave_up,
    skipped=reads(SkipNotFiniteState, "total"),
)
@checked
def skip_not_finite(
    inner: optax.GradientTransformation,
    *,
    max_consecutive: Annotated[int | None, Range(0)] = 10,
) -> optax.GradientTransformationExtraArgs:
    """Leave out a step whose loss or gradient holds NaN or infinity, or whose outcome would.

    Against a rare overflow, which would otherwise stay in the moments for good. The square of a
    gradient of 1e20 is infinite, so what the step makes of the state is looked at, too: a number in
    it that was finite must stay so.

        u <- 0, state of `inner` as it was    where the loss or some g, u or number of the state
                                              is not finite

    What controls inside observe of such a call, they keep. The choice is a select and not a branch,
    so each lane of a `vmap` has its own. In a run batch statistics stay as they were, too, and
    `skipped` in its log counts the steps.

    Args:
      inner: what does not see such a gradient: an optimizer or a whole chain.
      max_consecutive: how many in a row are left out; at the next the run is lost and stops, with
        the parameters that it had before them. None for all of them.

    Returns:
      A transformation; state `SkipNotFiniteState(in_a_row, total, gave_up, inner)`. It takes the
      extra `value`, the loss. In a loop of one's own `gave_up` is to be looked at: every step is
      left out from there on.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `optax.apply_if_finite`, which needs a limit, lets the next step through, and
      branches.
    """
    inner = inner_transformation(inner)

    def init(params):
        return SkipNotFiniteState(
            in_a_row=jnp.zeros([], jnp.int32),
            total=jnp.zeros([], jnp.int32),
            gave_up=jnp.array(False),
            inner=inner.init(params),
        )

    def update(updates, state, params=None, *, value=None, **extra):
        finite = all_finite(updates)
        if value is not None:
            finite &= jnp.isfinite(value).all()
            extra["value"] = value
        updates, new = inner.update(updates, state.inner, params, **extra)
        bad = ~(finite & all_finite(updates) & stays_finite(state.inner, new))
        counts = ~state.gave_up
        in_a_row = jnp.where(bad, optax.safe_increment(state.in_a_row), 0)
        in_a_row = jnp.where(counts, in_a_row, state.in_a_row)
        total = jnp.where(bad & counts, optax.safe_increment(state.total), state.total)
        gave_up = state.gave_up
        if max_consecutive is not None:
            gave_up |= in_a_row > max_consecutive
        skip = bad | gave_up
        new = select_step(~skip, new, state.inner)
        return zero_where(skip, updates), SkipNotFiniteState(in_a_row, total, gave_up, new)

    return optax.GradientTransformationExtraArgs(init, update)
