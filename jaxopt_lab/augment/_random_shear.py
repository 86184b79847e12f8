"""Random shear."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.geometry import Interpolation, affine
from jaxopt_lab.augment.op import Op
from jaxopt_lab.core.ranges import NonNegative, Probability, checked


@checked
def random_shear(
    max_slope: NonNegative = 0.2,
    *,
    interpolation: Interpolation = "bilinear",
    fill: Probability = 0.0,
) -> Op:
    """Shear about the center along both axes.

    The slant of handwriting is a shear along x.

        out[x, y] = image[x + s y, y + t x],    s, t ~ U(-max_slope, max_slope)

    Args:
      max_slope: in pixels a pixel, >= 0.
      interpolation: "bilinear" or "nearest".
      fill: what stands where the source lies outside, in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a negative slope, another interpolation, or a fill out of [0, 1].

    Reference: Simard et al., Best practices for convolutional neural networks, 2003,
      https://doi.org/10.1109/ICDAR.2003.1227801.
    """

    def sample(key):
        return jax.random.uniform(key, (2,), minval=-max_slope, maxval=max_slope)

    def apply(slope, image):
        matrix = jnp.eye(2, 3).at[jnp.array([0, 1]), jnp.array([1, 0])].set(slope)
        return affine(image, matrix, interpolation=interpolation, fill=fill)

    return Op(sample, apply)
