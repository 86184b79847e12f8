"""Corruption by snow."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.corruptions.motion import motion
from jaxopt_lab.augment.corruptions.separable import separable, zoom_matrix
from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def snow(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Let flakes fall across a whitened image.

    Flakes are the peaks of Gaussian noise, magnified and blurred along their fall.

        f = motion(noise where noise >= t else 0),    noise = zoom(N(m, s^2), z)
        x <- w x + (1 - w) max(x, 1.5 gray(x) + 0.5) + f + f turned by 180 degrees

    Args:
      key: for the flakes and their fall.
      image: (H, W, C) uint8.
      severity: 1 to 5.

    Returns:
      (H, W, C) uint8.

    Raises:
      ArgumentError: for a severity that is not 1 to 5.
      InputError: for an image that is not (H, W, C) uint8.

    Reference: Hendrycks and Dietterich, 2019, https://arxiv.org/abs/1903.12261; the constants are
    those of CIFAR-10-C, https://github.com/hendrycks/robustness.

    Differs from: the published code in the blur's rounding, see `motion_blur`. Gray is the mean of
    the channels where they are not three.
    """
    mean, scale, zoom, threshold, radius, sigma, weight = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    x = from_bytes(image)
    height, width, channels = x.shape
    noise_key, angle_key = jax.random.split(key)
    noise = mean + scale * jax.random.normal(noise_key, (height, width, 1), jnp.float32)
    noise = separable(zoom_matrix(height, zoom), zoom_matrix(width, zoom), noise)
    flakes = from_bytes(truncated(jnp.where(noise < threshold, 0, noise)))
    angle = jax.random.uniform(angle_key, minval=-135, maxval=-45)
    flakes = motion(flakes, angle, radius, sigma)
    luma = jnp.array([0.299, 0.587, 0.114]) if channels == 3 else jnp.full(channels, 1 / channels)
    gray = (x * luma[None, None, :]).sum(-1, keepdims=True)
    white = weight * x + (1 - weight) * jnp.maximum(x, 1.5 * gray + 0.5)
    return truncated(white + flakes + flakes[::-1, ::-1])
