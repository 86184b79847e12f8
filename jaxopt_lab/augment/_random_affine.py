"""Random affine map."""

import math
from typing import Annotated

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.geometry import Interpolation, affine, rotation
from jaxopt_lab.augment.op import Op
from jaxopt_lab.core.ranges import NonNegative, Probability, Range, checked


@checked
def random_affine(
    max_angle: NonNegative = 10.0,
    max_share: Probability = 0.1,
    max_factor: Annotated[float, Range(1)] = 1.1,
    max_slope: NonNegative = 0.1,
    *,
    interpolation: Interpolation = "bilinear",
    fill: Probability = 0.0,
) -> Op:
    """Turn, move, zoom and shear about the center, all in one interpolation.

    Blurs less, and is faster, than one op after the other.

        source = R(angle) [[1, slope], [0, 1]] (center offset) / factor - translation

    Args:
      max_angle: in degrees, >= 0; angle ~ U(-max_angle, max_angle).
      max_share: of the width and of the height to move by, in [0, 1], uniform.
      max_factor: the greatest enlargement, >= 1; log factor ~ U(-log max_factor, log max_factor).
      max_slope: of the shear along x, in pixels a pixel, >= 0, uniform.
      interpolation: "bilinear" or "nearest".
      fill: what stands where the source lies outside, in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a value out of its range.

    Reference: Simard et al., Best practices for convolutional neural networks, 2003,
      https://doi.org/10.1109/ICDAR.2003.1227801.
    """
    most = jnp.array([max_angle, max_share, max_share, math.log(max_factor), max_slope], float)

    def sample(key):
        return most * jax.random.uniform(key, (5,), minval=-1.0, maxval=1.0)

    def apply(draw, image):
        angle, x, y, log_factor, slope = draw
        h, w, _ = image.shape
        linear = rotation(angle) @ jnp.array([[1.0, slope], [0.0, 1.0]]) / jnp.exp(log_factor)
        matrix = jnp.concatenate([linear, jnp.array([[-x * w], [-y * h]])], axis=1)
        return affine(image, matrix, interpolation=interpolation, fill=fill)

    return Op(sample, apply)
