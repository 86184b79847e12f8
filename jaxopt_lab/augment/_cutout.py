"""Cutout."""

from collections.abc import Sequence
from typing import Annotated

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.op import Op
from jaxopt_lab.augment.pixels import like, unit
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count, Probability, Range, checked


@declare(fills={"fill": "mean"}, degrades=True)
@checked
def cutout(
    length: Count = 16,
    *,
    fill: Annotated[float | None, Range(0, 1)] | Sequence[Probability] = None,
) -> Op:
    """Blank a square whose center is uniform over the pixels; the border clips it.

    After crop and flip on small natural images: 16 for CIFAR-10, 8 for CIFAR-100.

    Args:
      length: side in pixels, >= 1 and at most the image's shorter side.
      fill: a level in [0, 1], or one for each channel; None for the mean of each channel of the
        image itself, and in a configuration for that of the training data.

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a length below 1 or a fill out of [0, 1].
      InputError: from the `Op`, for a length that could leave nothing of the image.

    Reference: DeVries and Taylor, 2017, https://arxiv.org/abs/1708.04552.

    Differs from: the published code, which fills with zero after normalization, the mean of the
      data set, as a configuration does: an op by itself does not know that.
    """

    def sample(key):
        return jax.random.uniform(key, (2,))

    def apply(center, image):
        if length > min(image.shape[:2]):
            raise InputError(
                f"cutout: length must be at most the image's side, got {length} for an image of "
                f"shape {image.shape}"
            )
        if fill is None:
            blank = like(unit(image).mean((0, 1), keepdims=True), image)
        else:
            blank = like(jnp.asarray(fill, jnp.float32), image)
        size = jnp.array(image.shape[:2])
        start = jnp.floor(center * size).astype(int) - length // 2
        return jnp.where(box(image, start, start + length), blank, image)

    return Op(sample, apply)


def box(image: jax.Array, start: jax.Array, end: jax.Array) -> jax.Array:
    """(H, W, 1), true from (row, column) `start` to before `end`."""
    row = jnp.arange(image.shape[0])[:, None, None]
    column = jnp.arange(image.shape[1])[None, :, None]
    return (row >= start[0]) & (row < end[0]) & (column >= start[1]) & (column < end[1])
