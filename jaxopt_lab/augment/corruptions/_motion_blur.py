"""Corruption by motion."""

import jax

from jaxopt_lab.augment.corruptions.motion import motion
from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def motion_blur(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Blur along a line, as a camera that moves does.

    The line has 2 r + 1 pixels, weighted by half a Gaussian, at a random angle.

        x[p] <- sum_{i = 0}^{2 r} k_i x[p + round(i (sin a, cos a))],    k_i ~ exp(-i^2 / (2 s^2))
        a ~ U(-45, 45) degrees,    (r, s) = (6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)

    Args:
      key: for the angle.
      image: (H, W, C) uint8.
      severity: 1 to 5.

    Returns:
      (H, W, C) uint8.

    Raises:
      ArgumentError: for a severity that is not 1 to 5.
      InputError: for an image that is not (H, W, C) uint8.

    Reference: Hendrycks and Dietterich, 2019, https://arxiv.org/abs/1903.12261; the constants are
    those of CIFAR-10-C, https://github.com/hendrycks/robustness.

    Differs from: the published code, where ImageMagick blurs, in 16 bits: the line and its weights
    are the same, the result is rounded once here.
    """
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    angle = jax.random.uniform(key, minval=-45, maxval=45)
    return truncated(motion(from_bytes(image), angle, radius, sigma))
