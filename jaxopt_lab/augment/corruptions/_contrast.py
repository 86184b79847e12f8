"""Corruption by low contrast."""

import jax

from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def contrast(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Draw every channel towards its mean.

    Haze and flat light.

        x <- c x + (1 - c) mean(x),    c = 0.75, 0.5, 0.4, 0.3, 0.15

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
    factor = (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    x = from_bytes(image)
    mean = x.mean((0, 1), keepdims=True)
    return truncated(factor * (x - mean) + mean)
