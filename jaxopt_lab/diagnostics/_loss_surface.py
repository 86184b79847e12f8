"""An objective around a point, along one or two directions."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count, Positive, Range, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics.displaced import displaced, require_alike
from jaxopt_lab.diagnostics.objective import Objective, Prepare, values_at


class Surface(NamedTuple):
    """Where the objective was evaluated, and what it is there.

    `x` (W,) along the first direction; `y` (H,) along the second, None where there is one only.
    `values` (H, W), or (W,): an array, or a dict of them where the objective gives one.
    """

    x: jax.Array
    y: jax.Array | None
    values: Any


@checked
def loss_surface(
    objective: Objective,
    params: Params,
    directions: Sequence[Params],
    *,
    steps: Annotated[int, Range(2)] = 41,
    extent: Positive = 1.0,
    coordinates: Sequence[Any] | None = None,
    prepare: Prepare = None,
    batch_size: Count | None = None,
) -> Surface:
    """An objective on a line or in a plane through the parameters.

        values[j, i] = L(theta + x_i d_1 + y_j d_2)

    Directions of `filter_normalized` show how sharp a minimum is, those of `pca_plane` where the
    optimizer went, `(b - a,)` what is between two minima and beyond.

    With an odd number of steps the center is one of the points. The parameters there are `params`
    to the bit, and so is, on a CPU with `batch_size` None, the objective's value, compiled alone.
    The plane is one compiled loop.

    Args:
      objective: `params -> scalar` or dict of scalars, such as `mean_loss(...)`.
      params: the center; a pytree of arrays, of which those that are not floating do not move.
      directions: one or two pytrees as `params`, in a list or tuple.
      steps: points along each direction, >= 2.
      extent: > 0, from -extent to extent in units of the direction.
      coordinates: the points along each direction, in place of the two above: one 1-D array for
        each.
      prepare: `params -> what objective takes`, called at each point: the place to re-estimate
        batch statistics, which belong to other parameters. None where there are none.
      batch_size: how many points side by side; None for one after another. On a CPU that is the
        fastest for convolutions; an accelerator that a small network leaves idle wants many.

    Returns:
      `Surface(x, y, values)`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: for other than one or two directions, one that is not built as `params`, or an
        objective that gives no scalar.

    Reference: Li et al., 2018, https://arxiv.org/abs/1712.09913

    Differs from: the paper's code, which normalizes batches with statistics of the center or of the
      last batch seen.
    """
    if not isinstance(directions, list | tuple) or len(directions) not in (1, 2):
        got = len(directions) if isinstance(directions, list | tuple) else type(directions).__name__
        raise InputError(
            f"loss_surface: directions must be one or two pytrees in a tuple, got {got}; "
            "(direction,) is one"
        )
    for i, direction in enumerate(directions):
        require_alike("loss_surface", f"directions[{i}]", direction, params)
    if coordinates is None:
        coordinates = [_symmetric(steps, extent)] * len(directions)
    axes = [jnp.asarray(each) for each in coordinates]
    if len(axes) != len(directions) or any(each.ndim != 1 or not each.size for each in axes):
        raise InputError(
            "loss_surface: coordinates must be one 1-D array for each direction, got shapes "
            f"{[each.shape for each in axes]} for {len(directions)} directions"
        )
    points = jnp.stack([each.ravel() for each in jnp.meshgrid(*axes)], -1)
    values = values_at(
        "loss_surface",
        objective,
        lambda point: displaced(params, directions, point),
        points,
        prepare,
        batch_size,
    )
    shape = tuple(len(each) for each in reversed(axes))
    values = jax.tree.map(lambda x: x.reshape(shape), values)
    return Surface(axes[0], axes[1] if len(axes) == 2 else None, values)


def _symmetric(steps, extent):
    """From -extent to extent, the middle of an odd number exactly 0."""
    return jnp.arange(1 - steps, steps, 2) / (steps - 1) * extent
