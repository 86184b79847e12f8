"""Corruption by pixels that are too large."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.augment.corruptions.severity import Severity, checked_bytes
from jaxopt_lab.core.ranges import checked


@checked
def pixelate(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Make the image smaller by the mean over boxes, and larger again.

    An image enlarged from few pixels; equal to Pillow to the bit.

        side <- floor(c side),    c = 0.95, 0.9, 0.85, 0.75, 0.65

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
    scale = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]
    x = checked_bytes(image).astype(jnp.float32)
    height, width, _ = x.shape
    small = [max(1, int(n * scale)) for n in (height, width)]
    x = _boxes(x, _box_matrix(width, small[1]), "wj,hjc->hwc")
    x = _boxes(x, _box_matrix(height, small[0]), "hi,iwc->hwc")
    x = _boxes(x, _box_matrix(small[1], width), "wj,hjc->hwc")
    return _boxes(x, _box_matrix(small[0], height), "hi,iwc->hwc").astype(jnp.uint8)


def _box_matrix(size: int, new: int) -> np.ndarray:
    """Which pixels of an axis are under each new one, (new, size) of 0 and 1.

    In the order in which Pillow computes it, so that pixels on a box's edge fall on the same side.
    """
    ratio = size / new
    wide = max(ratio, 1.0)
    center = ((np.arange(new) + 0.5) * ratio)[:, None]
    pixel = np.arange(size)[None, :]
    low, high = ((center + side * 0.5 * wide + 0.5).astype(int) for side in (-1, 1))
    place = (pixel - center + 0.5) * (1 / wide)
    under = (pixel >= low) & (pixel < high) & (place > -0.5) & (place <= 0.5)
    return under.astype(np.float32)


def _boxes(x: jax.Array, under: np.ndarray, axes: str) -> jax.Array:
    """Means of whole numbers, rounded, a half up."""
    mean = under / under.sum(1, keepdims=True)
    return jnp.floor(jnp.einsum(axes, jnp.asarray(mean), x, precision="highest") + 0.5)
