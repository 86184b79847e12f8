"""Random rotation."""

import jax

from jaxopt_lab.augment.geometry import Interpolation, rotate
from jaxopt_lab.augment.op import Op
from jaxopt_lab.core.ranges import NonNegative, Probability, checked


@checked
def random_rotate(
    max_angle: NonNegative = 15.0,
    *,
    interpolation: Interpolation = "bilinear",
    fill: Probability = 0.0,
) -> Op:
    """Turn about the center by a random angle.

    For images whose upright is only roughly kept; small angles for digits, where 6 is not 9.

        angle ~ U(-max_angle, max_angle)

    Args:
      max_angle: in degrees, >= 0.
      interpolation: "bilinear" or "nearest".
      fill: what stands where the source lies outside, in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a negative angle, another interpolation, or a fill out of [0, 1].

    Reference: Simard et al., Best practices for convolutional neural networks, 2003,
      https://doi.org/10.1109/ICDAR.2003.1227801.
    """

    def sample(key):
        return jax.random.uniform(key, minval=-max_angle, maxval=max_angle)

    def apply(angle, image):
        return rotate(image, angle, interpolation=interpolation, fill=fill)

    return Op(sample, apply)
