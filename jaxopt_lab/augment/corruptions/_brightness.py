"""Corruption by brightness."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def brightness(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Raise the value of hue, saturation and value.

    Daylight. Hue and saturation stay, so all channels of a pixel grow by one factor.

        x <- x v' / v,    v = max_k x_k,    v' = min(v + c, 1);    v' where v = 0
        c = 0.05, 0.1, 0.15, 0.2, 0.3

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
    more = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    x = from_bytes(image)
    value = x.max(-1, keepdims=True)
    brighter = jnp.minimum(value + more, 1)
    return truncated(jnp.where(value > 0, x * brighter / jnp.where(value > 0, value, 1), brighter))
