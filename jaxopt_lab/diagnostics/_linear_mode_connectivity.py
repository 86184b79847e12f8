"""Whether two minima are connected by a straight line."""

from typing import Annotated, Any, NamedTuple

import jax

from jaxopt_lab.core.ranges import Count, Range, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics._interpolation import Interpolation, interpolation
from jaxopt_lab.diagnostics.objective import Objective, Prepare


class Connectivity(NamedTuple):
    """The barrier's height and the share of the way at which it is, scalars; and the whole path.

    `barrier` and `share` are dicts where the objective gives one.
    """

    barrier: Any
    share: Any
    path: Interpolation


@checked
def linear_mode_connectivity(
    objective: Objective,
    a: Params,
    b: Params,
    *,
    points: Annotated[int, Range(3)] = 25,
    prepare: Prepare = None,
    batch_size: Count | None = None,
) -> Connectivity:
    """The height of the barrier on the straight line between two minima.

        barrier = max_t  L((1 - t) a + t b) - ((1 - t) L(a) + t L(b))

    Two networks are linearly connected where it is about 0: they are in one basin. Of one
    initialization and two orders of the data it tells whether training was stable to that noise.

    Args:
      objective: `params -> scalar` or dict of scalars, each of them better low (an error, not an
        accuracy).
      a: one minimum; a pytree of arrays.
      b: the other; a pytree as `a`.
      points: >= 3, both ends among them; an odd number has the middle.
      prepare: `params -> what objective takes`, called at each point: the place to re-estimate
        batch statistics. None where there are none.
      batch_size: how many points side by side; None for one after another.

    Returns:
      `Connectivity(barrier, share, path)`; the barrier is never negative, for at the ends it is 0.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: for a `b` that is not built as `a`, or an objective that gives no scalar.

    Reference: Frankle et al., 2020, https://arxiv.org/abs/1912.05671

    Differs from: the paper, which subtracts the mean of the ends. It is the same where they are
      equal; otherwise it sees a barrier on a straight slope too.
    """
    path = interpolation(objective, a, b, points=points, prepare=prepare, batch_size=batch_size)

    def heights(values):
        shares = path.shares.astype(values.dtype)
        return values - ((1 - shares) * values[0] + shares * values[-1])

    barrier = jax.tree.map(lambda v: heights(v).max(), path.values)
    share = jax.tree.map(lambda v: path.shares[heights(v).argmax()], path.values)
    return Connectivity(barrier, share, path)
