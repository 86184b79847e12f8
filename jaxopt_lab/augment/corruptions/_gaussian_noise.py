"""Corruption by Gaussian noise."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def gaussian_noise(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Add Gaussian noise to every value of an image.

    A sensor in the dark.

        x <- x + N(0, c^2),    c = 0.04, 0.06, 0.08, 0.09, 0.10

    Args:
      key: for the draw.
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
    scale = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    x = from_bytes(image)
    return truncated(x + scale * jax.random.normal(key, x.shape, jnp.float32))
