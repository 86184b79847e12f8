"""Corruption by impulse noise."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def impulse_noise(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Set values to black or white: salt and pepper.

    Broken sensor elements and lost bits.

        x <- 0 with probability c / 2, 1 with c / 2,    c = 0.01, 0.02, 0.03, 0.05, 0.07

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
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    x = from_bytes(image)
    u = jax.random.uniform(key, x.shape, jnp.float32)
    return truncated(jnp.where(u < share / 2, 0, jnp.where(u > 1 - share / 2, 1, x)))
