"""RandAugment."""

from typing import Annotated

import jax

from jaxopt_lab.augment.one_of import Operations, one_of
from jaxopt_lab.augment.op import Op, compose
from jaxopt_lab.augment.wide_operations import wide_operations
from jaxopt_lab.core.ranges import Range, checked


@checked
def rand_augment(
    layers: Operations = 2,
    magnitude: Annotated[float, Range(0, 30)] = 9.0,
    *,
    exact_iid: bool = False,
) -> Op:
    """Apply several operations, each drawn uniformly from 14, all at one strength.

    A search-free policy with two numbers to tune; larger models and longer training take a larger
    magnitude.

        x <- op_layers(... op_1(x)),    strength = +- magnitude/30 of each operation's greatest

    The operations, with the greatest strength of each: identity; shear along x or y (slope 0.3),
    translate along x or y (150/331 of the size), rotate (30 degrees), brightness, saturation,
    contrast, sharpness (factor 1 +- 0.9), posterize (4 bits less), solarize (threshold 0),
    autocontrast, equalize.

    Args:
      layers: how many operations one after the other, 1 to 50.
      magnitude: of 30.
      exact_iid: static; computes every operation for every image, which makes the draws of a batch
        independent, several times slower. Otherwise at each layer the operations are dealt out to
        the batch in equal parts at random: each image's operation is uniform, but they are drawn
        without replacement.

    Returns:
      An `Op` on (H, W, C) images; float32 is taken in 256 levels.

    Raises:
      ArgumentError: for a number of layers below 1 or a magnitude out of [0, 30].

    Reference: Cubuk et al., 2020, https://arxiv.org/abs/1909.13719.

    Differs from: torchvision, whose ranges these are, in interpolating bilinearly, and in that
      nothing is changed at a strength of 0, where torchvision's solarize inverts white.
    """
    operations = wide_operations(slope=0.3, pixels=None, angle=30.0, change=0.9, bits=4)

    def strength(key, shape):
        return jax.random.rademacher(key, shape, float) * magnitude

    return compose(*[one_of(operations, strength, exact_iid=exact_iid)] * layers)
