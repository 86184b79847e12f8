"""Corruption by frost."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.corruptions.plasma import plasma
from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def frost(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Cover the image with ice: a stand-in for the published corruption.

    Compare numbers of it with each other only, not with published ones.

        x <- a x + b ice,    ice = tint (1 - |2 plasma - 1|)
        (a, b) = (1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)

    Args:
      key: for the ice.
      image: (H, W, C) uint8.
      severity: 1 to 5.

    Returns:
      (H, W, C) uint8.

    Raises:
      ArgumentError: for a severity that is not 1 to 5.
      InputError: for an image that is not (H, W, C) uint8.

    Reference: Hendrycks and Dietterich, 2019, https://arxiv.org/abs/1903.12261; the constants are
    those of CIFAR-10-C, https://github.com/hendrycks/robustness.

    Differs from: the published code, which adds a part of a photograph of frost, one of five. Here
    ice is bluish ridges of a fractal; the shares (a, b) are the published ones.
    """
    keep, add = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[severity - 1]
    x = from_bytes(image)
    height, width, channels = x.shape
    ridges = 1 - jnp.abs(2 * plasma(key, height, width, 1.75) - 1)
    tint = jnp.array([0.8, 0.9, 1.0]) if channels == 3 else jnp.full(channels, 0.9)
    return truncated(keep * x + add * ridges[..., None] * tint[None, None, :])
