"""Corruption by an elastic deformation."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.corruptions.bilinear import bilinear
from jaxopt_lab.augment.corruptions.separable import gaussian_matrix, separable
from jaxopt_lab.augment.corruptions.severity import Severity, from_bytes, truncated
from jaxopt_lab.core.ranges import checked


@checked
def elastic_transform(key: jax.Array, image: jax.Array, *, severity: Severity) -> jax.Array:
    """Move three points, and the image with them, then every pixel by a smooth field.

    Lengths are shares of the smaller side n of the image.

        x <- x(A p),    A the affine map that three corners, each moved by U(-c n, c n)^2, define
        x <- x(p + a n gaussian(b n, U(-1, 1)))
        (a, b, c) = (0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03)

    Args:
      key: for the corners and the field.
      image: (H, W, C) uint8.
      severity: 1 to 5.

    Returns:
      (H, W, C) uint8.

    Raises:
      ArgumentError: for a severity that is not 1 to 5.
      InputError: for an image that is not (H, W, C) uint8.

    Reference: Hendrycks and Dietterich, 2019, https://arxiv.org/abs/1903.12261; the constants are
    those of CIFAR-10-C, https://github.com/hendrycks/robustness.

    Differs from: the published code, where OpenCV applies the affine map and rounds places to 1/32
    of a pixel. As there, the distance from the clean image does not grow with the severity.
    """
    amount, smooth, spread = (
        (0, 0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    )[severity - 1]
    x = from_bytes(image)
    height, width, _ = x.shape
    n = min(height, width)
    corner_key, field_key = jax.random.split(key)
    place = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij"), -1)
    place = place.astype(jnp.float32)

    # Corners as (row, column): two edges of length 2 `reach` meet in the second.
    center, reach = jnp.array([height // 2, width // 2], jnp.float32), max(1, n // 3)
    corners = center[None, :] + reach * jnp.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]])
    moved = corners + spread * n * jax.random.uniform(corner_key, (3, 2), minval=-1, maxval=1)
    map_to = jnp.stack([moved[0] - moved[1], moved[1] - moved[2]], 1) / (2 * reach)
    source = (place - moved[None, None, 0]) @ _inverse(map_to).T + corners[None, None, 0]
    x = bilinear(x, source[..., 0], source[..., 1], mode="reflect")

    rows, columns = (
        gaussian_matrix(size, smooth * n, mode="symmetric", truncate=3) for size in (height, width)
    )
    field = jax.random.uniform(field_key, (height, width, 2), minval=-1, maxval=1)
    source = place + amount * n * separable(rows, columns, field)
    return truncated(bilinear(x, source[..., 0], source[..., 1], mode="symmetric"))


def _inverse(matrix: jax.Array) -> jax.Array:
    """Of two by two numbers."""
    (a, b), (c, d) = matrix
    return jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)
