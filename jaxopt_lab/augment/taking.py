"""Pixels taken from other places of an image, in the form that suits the platform.

A gather of single pixels is what a CPU and a GPU do well. A TPU does it one after another, and has
a unit for matrix products: there positions become matrices of zeros and ones. Such a product is
exact, because of every sum one term is not zero: bytes are whole in bfloat16, and "highest" splits
a float32 into parts that are. A pixel that is not finite would reach its whole row.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.core.precision import full_precision


def take_pixels(image: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """The pixels at integer positions clamped to the image.

    Args:
      image: (H, W, C).
      row, column: integers that broadcast to (H', W').

    Returns:
      (H', W', C), of the image's dtype.
    """
    h, w, c = image.shape
    image, row, column = jnp.asarray(image), jnp.clip(row, 0, h - 1), jnp.clip(column, 0, w - 1)

    def gathered(image, row, column):
        flat = image.reshape(h * w, c)
        return flat.at[row * w + column].get(mode="promise_in_bounds")

    # Where every output pixel had its own row, the matrix would be one of all pixels by all.
    if row.shape[1] != 1 or not _exact(image.dtype):
        return gathered(image, row, column)
    return lax.platform_dependent(image, row, column, tpu=_by_products, default=gathered)


def take_grid(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """The pixels where these rows and columns cross; zeros where one is outside the image.

    Args:
      image: (H, W, C).
      rows: integers, (H',); outside of 0 to H - 1 there is no row.
      columns: integers, (W',).

    Returns:
      (H', W', C), of the image's dtype.
    """
    image = jnp.asarray(image)

    def gathered(image, rows, columns):
        h, w, c = image.shape
        inside = ((rows >= 0) & (rows < h))[:, None] & ((columns >= 0) & (columns < w))[None, :]
        at = jnp.clip(rows, 0, h - 1)[:, None] * w + jnp.clip(columns, 0, w - 1)[None, :]
        found = image.reshape(h * w, c).at[at].get(mode="promise_in_bounds")
        return jnp.where(inside[..., None], found, jnp.zeros([], image.dtype))

    def by_products(image, rows, columns):  # where there is no row, all of its zeros and ones are 0
        return _by_products(image, rows[:, None], columns[None, :])

    if not _exact(image.dtype):
        return gathered(image, rows, columns)
    return lax.platform_dependent(image, rows, columns, tpu=by_products, default=gathered)


def take_again(positions: jax.Array, then: jax.Array) -> jax.Array:
    """Positions of what is taken at `then` from what was taken at `positions`; -1 for none."""
    inside = (then >= 0) & (then < len(positions))
    return jnp.where(inside, positions[jnp.clip(then, 0, len(positions) - 1)], -1)


def look_up(table: jax.Array, image: jax.Array) -> jax.Array:
    """Every level replaced by its entry in its channel's row of a table.

    Args:
      table: (C, 256), whole numbers of 0 to 255.
      image: (H, W, C), uint8.

    Returns:
      (H, W, C), uint8.
    """

    def gathered(table, image):
        channels = jnp.arange(image.shape[-1])[None, None]
        mapped = table.astype(jnp.uint8).at[channels, image.astype(jnp.int32)]
        return mapped.get(mode="promise_in_bounds")

    def by_product(table, image):
        return _einsum("hwck,ck->hwc", image, table.astype(jnp.uint8))

    return lax.platform_dependent(table, image, tpu=by_product, default=gathered)


def histogram(image: jax.Array) -> jax.Array:
    """How many pixels of each channel have each level, (C, 256) int32, of (H, W, C) uint8."""
    c = image.shape[-1]

    def scattered(image):
        # One index a pixel and plain sums: three times faster on CPU than into (C, 256).
        bins = (image.astype(jnp.int32) + 256 * jnp.arange(c)[None, None]).reshape(-1)
        count = jnp.zeros(256 * c, jnp.int32).at[bins].add(1, mode="promise_in_bounds")
        return count.reshape(c, 256)

    def compared(image):
        return jax.nn.one_hot(image, 256, dtype=jnp.int32).sum((0, 1))

    return lax.platform_dependent(image, tpu=compared, default=scattered)


def _exact(dtype: Any) -> bool:
    """Whether a product with zeros and ones gives numbers of this dtype as they are."""
    return dtype == jnp.uint8 or dtype in (jnp.float32, jnp.bfloat16)


def _by_products(image, row, column):
    """The rows by one product, and then the columns: the same of each row, or of each its own."""
    rows = _einsum("hk,kwc->hwc", row[:, 0], image)
    if column.shape[0] == 1:
        return _einsum("wk,hkc->hwc", column[0], rows)
    return _einsum("hwk,hkc->hwc", column, rows)


@full_precision
def _einsum(formula: str, index: jax.Array, values: jax.Array) -> jax.Array:
    """The values at each index along the axis k, by a product with zeros and ones."""
    size = values.shape[formula.split(",")[1].index("k")]
    wide = jnp.bfloat16 if values.dtype == jnp.uint8 else values.dtype
    chosen = jax.nn.one_hot(index, size, dtype=wide)
    found = jnp.einsum(formula, chosen, values.astype(wide), preferred_element_type=jnp.float32)
    return found.astype(values.dtype)
