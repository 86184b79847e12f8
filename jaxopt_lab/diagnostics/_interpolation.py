"""An objective between two points."""

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.ranges import Count, Range, checked
from jaxopt_lab.core.tree import accumulator_dtype, is_trained
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics.displaced import require_alike
from jaxopt_lab.diagnostics.objective import Objective, Prepare, values_at


class Interpolation(NamedTuple):
    """Shares of the way (points,), and the objective there: (points,), or a dict of such."""

    shares: jax.Array
    values: Any


@checked
def interpolation(
    objective: Objective,
    a: Params,
    b: Params,
    *,
    points: Annotated[int, Range(2)] = 25,
    prepare: Prepare = None,
    batch_size: Count | None = None,
) -> Interpolation:
    """An objective on the straight line from one point to another.

        values_i = L((1 - t_i) a + t_i b),    t from 0 to 1

    The parameters at both ends are `a` and `b` to the bit, and so are, on a CPU with `batch_size`
    None, the objective's values, compiled alone. An odd number of points has the middle.

    Args:
      objective: `params -> scalar` or dict of scalars, such as `mean_loss(...)`.
      a: a pytree of arrays, such as the parameters at initialization, or one minimum.
      b: a pytree as `a`, such as the trained parameters, or another minimum. Leaves that are not
        floating stay those of `a`.
      points: >= 2, both ends among them.
      prepare: `params -> what objective takes`, called at each point: the place to re-estimate
        batch statistics, without which the middle of two networks with batch normalization is
        worse than it is. None where there are none.
      batch_size: how many points side by side; None for one after another.

    Returns:
      `Interpolation(shares, values)`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: for a `b` that is not built as `a`, or an objective that gives no scalar.

    Reference: Goodfellow, Vinyals and Saxe, 2015, https://arxiv.org/abs/1412.6544
    """
    require_alike("interpolation", "b", b, a)

    def between(share):
        def of_leaf(a, b):
            if not is_trained(a):
                return a
            wide = accumulator_dtype(a.dtype)
            t = share.astype(wide)
            return ((1 - t) * a.astype(wide) + t * b.astype(wide)).astype(a.dtype)

        return jax.tree.map(of_leaf, a, b)

    shares = jnp.arange(points) / (points - 1)
    values = values_at("interpolation", objective, between, shares, prepare, batch_size)
    return Interpolation(shares, values)
