"""The operations of RandAugment and TrivialAugment, by the greatest strength of each."""

import jax.numpy as jnp

from jaxopt_lab.augment.colors import brightness, contrast, saturation, sharpness
from jaxopt_lab.augment.geometry import quotient, rotate, shear_x, shear_y, translate
from jaxopt_lab.augment.levels import autocontrast, equalize, posterize, solarize
from jaxopt_lab.augment.one_of import Operation


def wide_operations(
    *, slope: float, pixels: float | None, angle: float, change: float, bits: int
) -> tuple[Operation, ...]:
    """The 14 operations at a magnitude m in [-30, 30], the greatest being that of 30.

    `pixels` is None for the share 150/331 of the image's size.
    """

    def part(greatest, m):
        return quotient(greatest * m, 30)

    def moved(size, m):
        greatest = size * 150 / 331 if pixels is None else pixels
        return -jnp.trunc(part(greatest, m)).astype(int)

    return (
        lambda image, m: image,
        lambda image, m: shear_x(image, part(slope, m)),
        lambda image, m: shear_y(image, part(slope, m)),
        lambda image, m: translate(image, moved(image.shape[1], m), 0),
        lambda image, m: translate(image, 0, moved(image.shape[0], m)),
        lambda image, m: rotate(image, part(angle, m)),
        lambda image, m: brightness(image, 1 + part(change, m)),
        lambda image, m: saturation(image, 1 + part(change, m)),
        lambda image, m: contrast(image, 1 + part(change, m)),
        lambda image, m: sharpness(image, 1 + part(change, m)),
        lambda image, m: posterize(image, 8 - jnp.round(part(bits, abs(m)))),
        # torchvision's inverts white even at a strength of 0.
        lambda image, m: solarize(image, jnp.where(m == 0, 256, 255 - part(255, abs(m)))),
        lambda image, m: autocontrast(image),
        lambda image, m: equalize(image),
    )
