"""Pixels of an image at places between them."""

from typing import Literal

import jax
import jax.numpy as jnp


def bilinear(
    x: jax.Array, rows: jax.Array, columns: jax.Array, *, mode: Literal["reflect", "symmetric"]
) -> jax.Array:
    """`x[rows, columns]`, (H, W, C), by linear interpolation; beyond the border lies its mirror.

    Args:
      x: (H, W, C).
      rows, columns: (H, W), any real numbers; pixel centers are the integers.
      mode: "reflect" does not repeat the border pixel, "symmetric" does.
    """

    def mirrored(place, size):
        if mode == "symmetric":
            place = place % (2 * size)
            return jnp.minimum(place, 2 * size - 1 - place)
        place = place % max(1, 2 * size - 2)
        return jnp.minimum(place, 2 * size - 2 - place)

    height, width, _ = x.shape
    top, left = jnp.floor(rows), jnp.floor(columns)
    total = jnp.zeros_like(x)
    for down in (0, 1):
        for right in (0, 1):
            weight = (1 - jnp.abs(rows - top - down)) * (1 - jnp.abs(columns - left - right))
            row = mirrored(top.astype(jnp.int32) + down, height)
            column = mirrored(left.astype(jnp.int32) + right, width)
            total += weight[..., None] * x[row, column]
    return total
