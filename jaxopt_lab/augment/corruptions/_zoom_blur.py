"""Corruption by zooming."""

import jax
import numpy as np

from jaxopt_lab.augment.corruptions.separable import separable, zoom_matrix
from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def zoom_blur(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Average the image over magnifications, as a camera that approaches does.

    Each magnification is of the middle of the image, by linear interpolation.

        x <- (x + sum_z zoom(x, z)) / (1 + number of z)
        z = 1, 1.01, ... up to, not with, 1.06, 1.11, 1.16, 1.21, 1.26

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

    Differs from: the published code on images that are not square, of which it zooms a square.
    """
    end = (1.06, 1.11, 1.16, 1.21, 1.26)[severity - 1]
    x = from_bytes(image)
    factors = np.arange(1, end, 0.01)
    total = x
    for factor in factors:
        rows, columns = (zoom_matrix(n, factor) for n in x.shape[:2])
        total += separable(rows, columns, x)
    return truncated(total / (len(factors) + 1))
