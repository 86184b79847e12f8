"""Parameters at the ends of cycles."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.control.params import after_step
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Count, checked, require_number
from jaxopt_lab.core.tree import find_state
from jaxopt_lab.core.types import Params


class SnapshotsState(NamedTuple):
    """Steps taken, snapshots taken, and the last of these on a leading axis of `members`."""

    count: jax.Array
    taken: jax.Array
    params: Params


def _members(opt_state: Any) -> tuple[Params, jax.Array]:
    """The stacked snapshots, and how many of their places are filled."""
    state = find_state(opt_state, "snapshots", SnapshotsState)
    places = len(jax.tree.leaves(state.params)[0])
    return state.params, jnp.minimum(state.taken, places)


@declare(place="updates", role="snapshots", given={"is_cycle_end": "cycle_end"}, members=_members)
@checked
def snapshots(
    is_cycle_end: Callable[[jax.Array], jax.Array], members: Count = 5
) -> optax.GradientTransformationExtraArgs:
    """Keep the parameters at the end of each cycle of the learning rate.

    An ensemble for the price of one run: each cycle ends in a minimum of its own. Last in the
    chain: it keeps the parameters after the step, which are those of the call plus the updates that
    reach it.

        theta^(i) <- theta    after the last step of cycle i

    With more cycles than members the earliest are overwritten: snapshot i is in place i mod
    members. Places that no snapshot has filled yet hold the parameters that the run began with; the
    state's `taken` counts the snapshots.

    Args:
      is_cycle_end: `step -> bool`, whether the step, counted from 0, is the last of its cycle, such
        as `schedules.sgdr_cycle_end(...)`.
      members: how many to keep, >= 1; each is a copy of the parameters in memory.

    Returns:
      A transformation that leaves updates alone; state `SnapshotsState(count, taken, params)`, see
      `snapshot_params`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where the parameters are not given.

    Reference: Huang et al., 2017, https://arxiv.org/abs/1704.00109
    """
    require_number("snapshots", members=members)

    def init(params):
        return SnapshotsState(
            count=jnp.zeros([], jnp.int32),
            taken=jnp.zeros([], jnp.int32),
            params=jax.tree.map(lambda p: jnp.repeat(jnp.asarray(p)[None], members, 0), params),
        )

    def update(updates, state, params=None, **extra):
        del extra
        new = after_step("snapshots", params, updates)
        take = jnp.asarray(is_cycle_end(state.count), jnp.bool_)
        place = state.taken % members

        def store(stack, p):
            # One place is read and written, so a loop's carry changes in place.
            row = jnp.where(take, p, stack[place])
            return jax.lax.dynamic_update_index_in_dim(stack, row, place, 0)

        stacks = jax.tree.map(store, state.params, new)
        count = optax.safe_increment(state.count)
        return updates, SnapshotsState(count, state.taken + take, stacks)

    return optax.GradientTransformationExtraArgs(init, update)
