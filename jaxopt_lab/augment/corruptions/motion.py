"""Blur along a line, one-sided, as ImageMagick does it."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def motion(x: jax.Array, angle: jax.Array, radius: float, sigma: float) -> jax.Array:
    """The mean of pixels along a line from each, with half a Gaussian for weights.

    Args:
      x: (H, W, C) in [0, 1]; beyond its border lies its edge.
      angle: in degrees, clockwise from the right.
      radius: pixels; the line has 2 radius + 1.
      sigma: pixels, of the Gaussian.

    Returns:
      (H, W, C), rounded to 256 levels.
    """
    length = 2 * math.ceil(radius) + 1
    taps = np.exp(-0.5 * (np.arange(length) / sigma) ** 2)
    direction = jnp.stack([jnp.sin(jnp.deg2rad(angle)), jnp.cos(jnp.deg2rad(angle))])
    offsets = jnp.ceil(jnp.arange(length)[:, None] * direction[None, :] - 0.5).astype(jnp.int32)
    margin = length - 1
    padded = jnp.pad(x, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    blurred = jnp.zeros_like(x)
    for tap, (row, column) in zip(taps / taps.sum(), offsets, strict=True):
        start = (margin + row, margin + column, 0)
        blurred += float(tap) * jax.lax.dynamic_slice(padded, start, x.shape)
    return jnp.round(255 * blurred) / 255
