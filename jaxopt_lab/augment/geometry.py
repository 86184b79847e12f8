"""Images moved, turned, resized and sheared, by pulling each pixel from where it came.

A pixel's center lies at its index + 1/2. Values between centers are interpolated, with taps clamped
at the edge; a pixel whose source lies outside the image is filled. uint8 results are truncated, as
Pillow does. Coordinates are float32, or float64 under `jax_enable_x64`; they are kept as
displacements from the pixel itself, which in float32 loses less than the coordinate does.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.pixels import full_scale

Interpolation = Literal["bilinear", "nearest"]


def affine(
    image: jax.Array,
    matrix: jax.typing.ArrayLike,
    *,
    interpolation: Interpolation = "bilinear",
    fill: jax.typing.ArrayLike = 0.0,
) -> jax.Array:
    """Pull every pixel through an affine map about the image's center.

        out[x, y] = image[a x + b y + c, d x + e y + f]

    Args:
      image: (H, W, C), float32 or uint8.
      matrix: (2, 3) `[[a, b, c], [d, e, f]]`: from an output pixel to its source, x to the right
        and y downward, in pixels from the center.
      interpolation: "bilinear" or "nearest".
      fill: what stands where the source lies outside, in [0, 1].

    Returns:
      The image, of the same shape and dtype.

    Differs from: `PIL.Image.transform`, whose origin is the upper left corner; bilinear uint8
      results are otherwise equal to the bit in float64. Its "nearest" rounds coordinates to 2^-16.
    """
    (a, b, c), (d, e, f) = jnp.asarray(matrix, jnp.result_type(float))
    h, w, _ = image.shape
    x = jnp.arange(w)[None, :] + (0.5 - w / 2)
    y = jnp.arange(h)[:, None] + (0.5 - h / 2)
    right = (a - 1) * x + b * y + c
    down = d * x + (e - 1) * y + f
    inside = _inside(x + right, w) & _inside(y + down, h)
    if interpolation == "nearest":
        row = jnp.arange(h)[:, None] + jnp.floor(down + 0.5).astype(int)
        column = jnp.arange(w)[None, :] + jnp.floor(right + 0.5).astype(int)
        return _filled(image, _tap(image, row, column), inside, fill)
    row = jnp.arange(h)[:, None] + jnp.floor(down).astype(int)
    column = jnp.arange(w)[None, :] + jnp.floor(right).astype(int)
    right, down = (right - jnp.floor(right))[..., None], (down - jnp.floor(down))[..., None]
    upper = _between(_tap(image, row, column), _tap(image, row, column + 1), right)
    lower = _between(_tap(image, row + 1, column), _tap(image, row + 1, column + 1), right)
    return _filled(image, upper + (lower - upper) * down, inside, fill)


def rotate(
    image: jax.Array,
    angle: jax.typing.ArrayLike,
    *,
    interpolation: Interpolation = "bilinear",
    fill: jax.typing.ArrayLike = 0.0,
) -> jax.Array:
    """Turn an image counterclockwise about its center.

    Args:
      image: (H, W, C), float32 or uint8.
      angle: in degrees.
      interpolation, fill: as in `affine`.

    Returns:
      The image, of the same shape and dtype. Multiples of 90 degrees are exact.
    """
    matrix = rotation(angle)
    return affine(image, jnp.pad(matrix, ((0, 0), (0, 1))), interpolation=interpolation, fill=fill)


def rotation(angle: jax.typing.ArrayLike) -> jax.Array:
    """The (2, 2) matrix that `rotate` pulls through, exact at multiples of 90 degrees."""
    angle = jnp.asarray(angle, jnp.result_type(float))
    quarters = jnp.round(angle / 90)
    rest = jnp.deg2rad(angle - 90 * quarters)
    cos, sin = jnp.cos(rest), jnp.sin(rest)
    turn = quarters.astype(int) % 4
    cos, sin = (
        jnp.stack([cos, -sin, -cos, sin])[turn],
        jnp.stack([sin, cos, -sin, -cos])[turn],
    )
    return jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])


def shear_x(
    image: jax.Array, slope: jax.typing.ArrayLike, *, fill: jax.typing.ArrayLike = 0.0
) -> jax.Array:
    """Shear along the rows about the upper edge: each row moves left by `slope` times its depth.

    Two taps, where `affine` needs four.

        out[x, y] = image[x + slope y, y]

    Args:
      image: (H, W, C), float32 or uint8.
      slope: in pixels a pixel.
      fill: what stands where the source lies outside, in [0, 1].

    Returns:
      The image, of the same shape and dtype.
    """
    h, w, _ = image.shape
    right = jnp.asarray(slope, jnp.result_type(float)) * (jnp.arange(h)[:, None] + 0.5)
    column = jnp.arange(w)[None, :] + jnp.floor(right).astype(int)
    inside = _inside(jnp.arange(w)[None, :] + (0.5 - w / 2) + right, w)
    row = jnp.arange(h)[:, None]
    part = (right - jnp.floor(right))[..., None]
    pulled = _between(_tap(image, row, column), _tap(image, row, column + 1), part)
    return _filled(image, pulled, inside, fill)


def shear_y(
    image: jax.Array, slope: jax.typing.ArrayLike, *, fill: jax.typing.ArrayLike = 0.0
) -> jax.Array:
    """Shear along the columns about the left edge; see `shear_x`."""
    return shear_x(image.swapaxes(0, 1), slope, fill=fill).swapaxes(0, 1)


def translate(
    image: jax.Array,
    x: jax.typing.ArrayLike,
    y: jax.typing.ArrayLike,
    *,
    fill: jax.typing.ArrayLike = 0.0,
) -> jax.Array:
    """Move an image by whole pixels.

        out[h, w] = image[h - y, w - x]

    Args:
      image: (H, W, C), float32 or uint8.
      x: pixels to the right, an integer.
      y: pixels downward, an integer.
      fill: what stands where the source lies outside, in [0, 1].

    Returns:
      The image, of the same shape and dtype.
    """
    h, w, _ = image.shape
    row, column = jnp.arange(h)[:, None] - y, jnp.arange(w)[None, :] - x
    inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
    return _filled(image, _tap(image, row, column), inside, fill)


def _inside(from_center: jax.Array, size: int) -> jax.Array:
    return (from_center >= -size / 2) & (from_center < size / 2)


def _tap(image: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """The pixels at integer positions clamped to the image, by one gather of flat positions."""
    h, w, c = image.shape
    row, column = jnp.clip(row, 0, h - 1), jnp.clip(column, 0, w - 1)
    return jnp.asarray(image).reshape(h * w, c).at[row * w + column].get(mode="promise_in_bounds")


def _between(left: jax.Array, right: jax.Array, part: jax.Array) -> jax.Array:
    left, right = left.astype(part.dtype), right.astype(part.dtype)
    return left + (right - left) * part


def _filled(
    image: jax.Array, pulled: jax.Array, inside: jax.Array, fill: jax.typing.ArrayLike
) -> jax.Array:
    return jnp.where(inside[..., None], pulled.astype(image.dtype), full_scale(fill, image.dtype))
