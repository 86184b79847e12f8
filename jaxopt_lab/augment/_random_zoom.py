"""Random zoom."""

import math
from typing import Annotated

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.geometry import Interpolation, affine
from jaxopt_lab.augment.op import Op
from jaxopt_lab.core.ranges import Probability, Range, checked


@checked
def random_zoom(
    max_factor: Annotated[float, Range(1, 100)] = 1.2,
    *,
    interpolation: Interpolation = "bilinear",
    fill: Probability = 0.0,
) -> Op:
    """Enlarge or shrink about the center by a random factor, equally often.

    For objects that come at several sizes.

        log factor ~ U(-log max_factor, log max_factor)

    Args:
      max_factor: the greatest enlargement, in [1, 100]; its inverse is the greatest shrinkage.
      interpolation: "bilinear" or "nearest".
      fill: what stands where the source lies outside, in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a factor out of its range, another interpolation, or a fill out of [0, 1].

    Reference: Simonyan and Zisserman, 2015, https://arxiv.org/abs/1409.1556, section 3.1.

    Differs from: Keras, whose factor is uniform, and which shrinks where it is positive.
    """
    most = math.log(max_factor)

    def sample(key):
        return jnp.exp(jax.random.uniform(key, minval=-most, maxval=most))

    def apply(factor, image):
        matrix = jnp.eye(2, 3) / factor
        return affine(image, matrix, interpolation=interpolation, fill=fill)

    return Op(sample, apply)
