"""Corruption by shot noise."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.augment.corruptions.severity import Severity, checked_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def shot_noise(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Count photons: Poisson noise, whose variance is the brightness.

    A sensor with little light.

        x <- Poisson(c x) / c,    c = 500, 250, 100, 75, 50

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
    photons = (500.0, 250.0, 100.0, 75.0, 50.0)[severity - 1]
    u = jax.random.uniform(key, checked_bytes(image).shape, jnp.float32)
    return truncated(_quantile(photons, image, u) / photons)


def _quantile(photons: float, image: jax.Array, u: jax.Array) -> jax.Array:
    """Of the Poisson distribution of each byte's rate, by halving in a table of its sums.

    A byte has 256 rates only; `jax.random.poisson`, which rejects, takes ten times as long.
    """
    size = 1 << int(photons + 8 * photons**0.5).bit_length()
    rate = np.maximum(photons * np.arange(256) / 255, 1e-30)[:, None]
    log_factorial = np.concatenate([[0], np.log(np.arange(1, size)).cumsum()])
    mass = np.exp(np.arange(size) * np.log(rate) - rate - log_factorial)
    table = jnp.asarray(mass.cumsum(1), jnp.float32)
    count, step = jnp.zeros(image.shape, jnp.int32), size // 2
    while step:
        count = jnp.where(table[image, count + step - 1] <= u, count + step, count)
        step //= 2
    return count
