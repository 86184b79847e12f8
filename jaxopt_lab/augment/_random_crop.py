"""Random crop of the padded image."""

from typing import Annotated, Literal

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.op import Op
from jaxopt_lab.augment.taking import cut_out
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

    def apply(offset, image):
        if padding and padding >= min(image.shape[:2]):
            raise InputError(
                f"random_crop: padding must be below the image's side, got {padding} for an image "
                f"of shape {image.shape}"
            )
        padded = jnp.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode=mode)
        return cut_out(padded, offset, image.shape)

    return Op(sample, apply)
