"""Corruption by fog."""

import jax

from jaxopt_lab.augment.corruptions.plasma import plasma
from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def fog(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Add a bright fractal cloud, and keep the largest value.

    The cloud is the diamond-square fractal.

        x <- (x + c plasma(d)) m / (m + c),    m = max x
        (c, d) = (0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)

    Args:
      key: for the cloud.
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
    density, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity - 1]
    x = from_bytes(image)
    height, width, _ = x.shape
    cloud = plasma(key, height, width, decay)[..., None]
    return truncated((x + density * cloud) * x.max() / (x.max() + density))
