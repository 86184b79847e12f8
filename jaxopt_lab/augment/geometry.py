"""Images moved, turned, resized and sheared, by pulling each pixel from where it came.

A pixel's center lies at its index + 1/2. Values between centers are interpolated, with taps clamped
at the edge; a pixel whose source lies outside the image is filled. uint8 results are truncated, as
Pillow does. Coordinates are float32, or float64 under `jax_enable_x64`. In float32 they are kept as
displacements from the pixel itself, which loses less than the coordinate does. In float64 all is
computed in Pillow's own order, because a value that is whole but for its last bit is truncated to
one level or the other.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.pixels import full_scale
from jaxopt_lab.augment.taking import take_pixels

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

    Differs from: `PIL.Image.transform`, whose origin is the upper left corner: there c is
      (a (-W/2) + b (-H/2) + c) + W/2, as in `PIL.Image.rotate`, and bilinear uint8 results are then
      equal to the bit in float64. Its "nearest" rounds coordinates to 2^-16.
    """
    (a, b, c), (d, e, f) = jnp.asarray(matrix, jnp.result_type(float))
    h, w, _ = image.shape
    x = jnp.arange(w)[None, :] + (0.5 - w / 2)
    y = jnp.arange(h)[:, None] + (0.5 - h / 2)
    if a.dtype == jnp.float64:
        across = _of_coordinate(_coordinates(a, b, c, w / 2, image), w)
        along = _of_coordinate(_coordinates(d, e, f, h / 2, image), h)
    else:
        across = _of_displacement((a - 1) * x + b * y + c, jnp.arange(w)[None, :], w)
        along = _of_displacement(d * x + (e - 1) * y + f, jnp.arange(h)[:, None], h)
    inside = across.inside & along.inside
    if interpolation == "nearest":
        return _filled(image, take_pixels(image, along.nearest, across.nearest), inside, fill)
    row, column = along.first, across.first

    def between_columns(row):
        left, right = (take_pixels(image, row, at) for at in (column, column + 1))
        return _between(left, right, across.part)

    pulled = _between(between_columns(row), between_columns(row + 1), along.part)
    return _filled(image, pulled, inside, fill)


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
    if angle.dtype == jnp.float64:
        turned = jnp.deg2rad(angle % 360)
        cos, sin = _to_15_decimals(jnp.cos(turned)), _to_15_decimals(jnp.sin(turned))
        return jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])
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
    row, column = jnp.arange(h)[:, None], jnp.arange(w)[None, :]
    right = _rounded(jnp.asarray(slope, jnp.result_type(float)) * (row + 0.5))
    if right.dtype == jnp.float64:
        across = _of_coordinate(column + 0.5 + right, w)
    else:
        across = _of_displacement(right, column, w)
    left, next_ = take_pixels(image, row, across.first), take_pixels(image, row, across.first + 1)
    return _filled(image, _between(left, next_, across.part), across.inside, fill)


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
    return _filled(image, take_pixels(image, row, column), inside, fill)


class _Source(NamedTuple):
    """Where each pixel comes from along one axis, (H, W), or broadcast to it.

    Attributes:
      first: the pixel before the source; the one after it follows.
      part: how far the source is from the first to the next, (H, W, 1).
      nearest: the pixel that the source lies in.
      inside: whether it lies in the image.
    """

    first: jax.Array
    part: jax.Array
    nearest: jax.Array
    inside: jax.Array


def _of_displacement(by: jax.Array, index: jax.Array, size: int) -> _Source:
    """Of pixels at `index` that are pulled from so far away."""
    from_center = index + (0.5 - size / 2) + by
    return _Source(
        index + jnp.floor(by).astype(int),
        (by - jnp.floor(by))[..., None],
        index + jnp.floor(by + 0.5).astype(int),
        (from_center >= -size / 2) & (from_center < size / 2),
    )


def _of_coordinate(at: jax.Array, size: int) -> _Source:
    """Of pixels that are pulled from these coordinates, as Pillow's `bilinear_filter8` has it."""
    before = _rounded(at) - 0.5
    first = jnp.floor(before)
    return _Source(
        first.astype(int),
        (before - first)[..., None],
        jnp.floor(at).astype(int),
        (at >= 0) & (at < size),
    )


def _coordinates(
    x: jax.Array, y: jax.Array, constant: jax.Array, center: float, image: jax.Array
) -> jax.Array:
    """A row (x, y, constant) of a matrix about the center as coordinates from the corner, (H, W).

    In the order of `PIL.Image.rotate`, and then of Pillow's `affine_transform`.
    """
    h, w, _ = image.shape
    moved = _rounded(_rounded(x * (-w / 2)) + _rounded(y * (-h / 2)))
    constant = _rounded(moved + constant) + center
    across, along = jnp.arange(w)[None, :] + 0.5, jnp.arange(h)[:, None] + 0.5
    return _rounded(_rounded(x * across) + _rounded(y * along)) + constant


def quotient(x: jax.Array, by: float) -> jax.Array:
    """x / by; in float64 by a division, where XLA would multiply by the inverse of a constant."""
    return x / (by + 0 * x) if x.dtype == jnp.float64 else x / by


def _to_15_decimals(x: jax.Array) -> jax.Array:
    """x in [-1, 1] as Python's `round(x, 15)`, which Pillow takes of a cosine."""
    # The product with 1e15 has more digits than a float: of 17 bits of x it has not.
    high = jnp.round(x * 2**17) / 2**17
    whole = jnp.floor(high * 1e15)
    rest = (high * 1e15 - whole) + (x - high) * 1e15
    return quotient(whole + jnp.round(rest), 1e15)


def _rounded(x: jax.Array) -> jax.Array:
    """x; in float64 what is added to it is added to it alone, where XLA would fuse or reorder."""
    return jnp.clip(x, -1e300, 1e300) if x.dtype == jnp.float64 else x


def _between(left: jax.Array, right: jax.Array, part: jax.Array) -> jax.Array:
    left, right = left.astype(part.dtype), right.astype(part.dtype)
    return left + _rounded((right - left) * part)


def _filled(
    image: jax.Array, pulled: jax.Array, inside: jax.Array, fill: jax.typing.ArrayLike
) -> jax.Array:
    return jnp.where(inside[..., None], pulled.astype(image.dtype), full_scale(fill, image.dtype))
