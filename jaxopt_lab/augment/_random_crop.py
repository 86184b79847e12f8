"""Random crop of the padded image."""

from typing import Annotated, Literal

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.op import Op, moving
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Range, checked


@checked
def random_crop(
    padding: Annotated[int, Range(0)] = 4,
    *,
    mode: Literal["constant", "reflect", "edge"] = "constant",
) -> Op:
    """Pad on every side and cut the original size out at a random place.

    The standard augmentation of small natural images: 4 pixels at 32x32.

        offset ~ U{0, ..., 2 padding}^2

    Args:
      padding: pixels added on each side, >= 0 and fewer than the image's shorter side has.
      mode: what fills them: "constant" (zeros), "reflect" (without the border) or "edge".

    Returns:
      An `Op` on (H, W, C) images of any dtype.

    Raises:
      ArgumentError: for a negative padding or an unknown mode.
      InputError: from the `Op`, for a padding that could leave nothing of the image.

    Reference: Krizhevsky, 2009; He et al., 2016, https://arxiv.org/abs/1512.03385, section 4.2.
    """

    def sample(key):
        return jax.random.randint(key, (2,), 0, 2 * padding + 1)

    def places(offset, sides):
        if padding and padding >= min(sides):
            raise InputError(
                f"random_crop: padding must be below the image's side, got {padding} for an image "
                f"of shape {sides}"
            )
        rows, columns = (offset[i] - padding + jnp.arange(side) for i, side in enumerate(sides))
        if mode == "constant":  # there is nothing outside, which is zeros
            return rows, columns
        fold = _reflected if mode == "reflect" else jnp.clip
        return fold(rows, 0, sides[0] - 1), fold(columns, 0, sides[1] - 1)

    return moving(sample, places)


def _reflected(x: jax.Array, first: int, last: int) -> jax.Array:
    """Positions beyond an end as far within it; the end itself is there once."""
    return last - jnp.abs(last - jnp.abs(x - first))
