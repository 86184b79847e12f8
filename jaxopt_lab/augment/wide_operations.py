"""The operations of RandAugment and TrivialAugment, by the greatest strength of each."""

import jax.numpy as jnp

from jaxopt_lab.augment.colors import brightness, contrast, saturation, sharpness
from jaxopt_lab.augment.geometry import rotate, shear_x, shear_y, translate
from jaxopt_lab.augment.levels import autocontrast, equalize, posterize, solarize
from jaxopt_lab.augment.one_of import Operation


def wide_operations(
    *, slope: float, pixels: float | None, angle: float, change: float, bits: int
) -> tuple[Operation, ...]:
    """The 14 operations at a magnitude m in [-30, 30], the greatest being that of 30.

    `pixels` is None for the share 150/331 of the image's size.
    """

    def moved(size, m):
        greatest = size * 150 / 331 if pixels is None else pixels
        return -jnp.trunc(greatest * m / 30).astype(int)

    return (
        lambda image, m: image,
        lambda image, m: shear_x(image, slope * m / 30),
        lambda image, m: shear_y(image, slope * m / 30),
        lambda image, m: translate(image, moved(image.shape[1], m), 0),
        lambda image, m: translate(image, 0, moved(image.shape[0], m)),
        lambda image, m: rotate(image, angle * m / 30),
        lambda image, m: brightness(image, 1 + change * m / 30),
        lambda image, m: saturation(image, 1 + change * m / 30),
        lambda image, m: contrast(image, 1 + change * m / 30),
        lambda image, m: sharpness(image, 1 + change * m / 30),
        lambda image, m: posterize(image, 8 - jnp.round(bits * abs(m) / 30)),
        lambda image, m: solarize(image, 255 - 255 * abs(m) / 30),
        lambda image, m: autocontrast(image),
        lambda image, m: equalize(image),
    )
