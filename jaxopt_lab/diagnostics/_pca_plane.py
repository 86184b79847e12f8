"""The plane in which an optimizer's path moves most."""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import NonNegative, Range, checked
from jaxopt_lab.core.tree import is_trained, take, widen
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg.one_by_one import svd


class PCAPlane(NamedTuple):
    """A plane through the last iterate, the path in it, and a grid that covers the path.

    `center`, the last iterate; `directions`, two orthonormal pytrees as it; `path` (T, 2), which
    ends in 0; `distance` (T,), of each iterate from the plane; `explained` (2,), each direction's
    share of the path's variance; `x` and `y` (steps,), which hold 0.
    """

    center: Params
    directions: tuple[Params, Params]
    path: jax.Array
    distance: jax.Array
    explained: jax.Array
    x: jax.Array
    y: jax.Array


@checked
@full_precision
def pca_plane(
    iterates: Params, *, steps: Annotated[int, Range(3)] = 41, margin: NonNegative = 0.3
) -> PCAPlane:
    """The two principal directions of an optimizer's path.

        X - mean X = U S V^T,    d_1, d_2 = rows of V^T,    path_t = V^T (theta_t - theta_T)

    The surface in the plane, on which the path is drawn:
    `loss_surface(objective, plane.center, plane.directions, coordinates=(plane.x, plane.y))`. Its
    values are those of the projected path, and the path's own at the center only: `distance` and
    `explained` say how far the two are apart.

    Args:
      iterates: a pytree of leaves (T, ...), T >= 3, the parameters step by step; `core.tree` has
        `stack_trees`, which makes it of a list. Leaves that are not floating do not count.
      steps: points of the grid along each direction, >= 3.
      margin: >= 0, of the grid around the path, as a share of the path's extent.

    Returns:
      `PCAPlane(center, directions, path, distance, explained, x, y)`; directions are in float32 or
      wider. A direction in which nothing moves is some unit vector, and explains 0.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: for fewer than 3 iterates, or fewer than 2 parameters.

    Reference: Li et al., 2018, https://arxiv.org/abs/1712.09913, section 7
    """
    leaves, structure = jax.tree.flatten(iterates)
    trained = [i for i, leaf in enumerate(leaves) if is_trained(leaf)]
    lengths = {jnp.shape(leaf)[:1] for leaf in leaves}
    count = sum(jnp.size(leaves[i][0]) for i in trained) if len(lengths) == 1 else 0
    if len(lengths) != 1 or min(lengths) < (3,) or count < 2:
        raise InputError(
            "pca_plane: iterates must be a pytree of leaves (T, ...) of one T >= 3 with at least 2 "
            f"floating parameters, got shapes {[jnp.shape(leaf) for leaf in leaves]}; "
            "core.tree.stack_trees makes one of a list"
        )
    wide = widen(leaves)
    x = jnp.concatenate([wide[i].reshape(len(wide[i]), -1) for i in trained], 1)
    _, s, rows = svd(x - x.mean(0, keepdims=True))
    rows, moved = rows[:2], x - x[-1:]
    path = moved @ rows.T
    # The sign of a singular vector is arbitrary: the path comes from the positive side.
    sign = jnp.where(path[0] < 0, -1, 1).astype(path.dtype)
    rows, path = rows * sign[:, None], path * sign[None]
    distance = jnp.linalg.norm(moved - path @ rows, axis=1)
    variance = s**2 / jnp.where(s.sum() > 0, (s**2).sum(), 1)

    def direction(row):
        parts, start = [jnp.zeros_like(leaf[0]) for leaf in wide], 0
        for i in trained:
            size = wide[i][0].size
            parts[i] = row[start : start + size].reshape(wide[i].shape[1:])
            start += size
        return jax.tree.unflatten(structure, parts)

    grid_x, grid_y = (_covering(path[:, i], path, steps, margin) for i in range(2))
    return PCAPlane(
        take(iterates, -1),
        (direction(rows[0]), direction(rows[1])),
        path,
        distance,
        variance[:2],
        grid_x,
        grid_y,
    )


def _covering(along, path, steps, margin):
    """Evenly from below the least to above the greatest, moved so that 0 is a point."""
    least = jnp.abs(path).max() / 10  # a path on a line has a plane around it too
    spread = jnp.maximum(along.max() - along.min(), jnp.where(least > 0, least, 1))
    low = along.min() - margin * spread
    step = (along.max() + margin * spread - low) / (steps - 1)
    step = jnp.where(step > 0, step, spread / (steps - 1))
    first = jnp.round(low / step)
    return (first + jnp.arange(steps)) * step
