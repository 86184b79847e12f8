"""Corruption by defocus."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def defocus_blur(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Blur with a disk, as a lens out of focus does.

    The disk is softened by a Gaussian of three taps; beyond the border lies the image's mirror.

        x <- x * disk(r) * gaussian(a)
        (r, a) = (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1), in pixels

    Args:
      key: not used.
      image: (H, W, C) uint8.
      severity: 1 to 5.

    Returns:
      (H, W, C) uint8.

    Raises:
      ArgumentError: for a severity that is not 1 to 5.
      InputError: for an image that is not (H, W, C) uint8.

    Reference: Hendrycks and Dietterich, 2019, https://arxiv.org/abs/1903.12261; the constants are
    those of CIFAR-10-C, https://github.com/hendrycks/robustness.
    """
    radius, alias = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity - 1]
    x = from_bytes(image)
    place = np.arange(-2, 3)
    disk = place[:, None] ** 2 + place[None, :] ** 2 <= radius**2
    soft = np.exp(-0.5 * (np.arange(-1, 2) / alias) ** 2)
    kernel = np.zeros((5, 5))
    for i, j in np.ndindex(3, 3):
        kernel += soft[i] * soft[j] * np.pad(disk, 1)[i : i + 5, j : j + 5]
    kernel /= kernel.sum()
    height, width, _ = x.shape
    mirrored = jnp.pad(x, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    blurred = jnp.zeros_like(x)
    for i, j in np.argwhere(kernel > 0):
        blurred += float(kernel[i, j]) * mirrored[i : i + height, j : j + width]
    return truncated(blurred)
