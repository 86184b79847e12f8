"""Corruption by frosted glass."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.corruptions.separable import gaussian_matrix, separable
from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def glass_blur(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Blur, move every pixel to a neighbor's place, and blur again.

    What lies behind frosted glass. The two first rows and columns stay.

        x <- gaussian(s, x)
        x[h, w] <- x[h - a, w - b],    a, b ~ U{0, 1},    n times
        x <- gaussian(s, x)
        (s, n) = (0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)

    Args:
      key: for the moves.
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
    sigma, times = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[severity - 1]
    x = from_bytes(image)
    height, width, _ = x.shape
    rows, columns = (gaussian_matrix(n, sigma, mode="edge") for n in (height, width))
    inside = (jnp.arange(height) >= 2)[:, None] & (jnp.arange(width) >= 2)[None, :]
    # Whole levels, as the published code has them between its two blurs.
    x = truncated(separable(rows, columns, x))
    for i in range(times):
        moves = jax.random.bernoulli(jax.random.fold_in(key, i), 0.5, (2, height, width))
        up, left = (moves & inside[None])[..., None]
        above = jnp.roll(x, 1, 0)
        same_row = jnp.where(left, jnp.roll(x, 1, 1), x)
        x = jnp.where(up, jnp.where(left, jnp.roll(above, 1, 1), above), same_row)
    return truncated(separable(rows, columns, from_bytes(x)))
