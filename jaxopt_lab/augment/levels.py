"""Tone by levels: each byte to another by a table, of each channel or of all."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.augment.pixels import on_bytes, on_floats, require_levels
from jaxopt_lab.augment.taking import histogram, look_up


@on_bytes
def autocontrast(image: jax.Array) -> jax.Array:
    """Stretch each channel so that its least level becomes 0 and its greatest 255.

        x <- floor(255 (x - min)/(max - min));    x where max = min

    Args:
      image: (H, W, C), uint8, or float32 in [0, 1], which is taken in 256 levels.

    Returns:
      The image, of the same shape and dtype; on uint8 `PIL.ImageOps.autocontrast` to the bit.
    """
    v = image.astype(jnp.int32)
    least, most = v.min((0, 1)), v.max((0, 1))  # (C,)
    # The half keeps an inexact quotient of float32 from falling below a whole number.
    level = jnp.arange(256)[None] - least[:, None]
    share = (255 * level + 0.5) / jnp.maximum(most - least, 1)[:, None]
    table = jnp.clip(jnp.floor(share), 0, 255).astype(jnp.int32)
    # Pillow computes in double x scale - min scale, which now and then is just below the whole
    # number that it should be. Those are known: at most 16 for a pair (min, max).
    codes = jnp.asarray(_fall_short())
    first = 256 * (256 * least + most)
    here = jnp.searchsorted(codes, first)[:, None] + jnp.arange(16)[None]
    short = codes[here] - first[:, None]  # those of the next pairs are above 255
    table = table.at[jnp.arange(len(least))[:, None], short].add(-1, mode="drop")
    table = jnp.where((most > least)[:, None], table, jnp.arange(256)[None])
    return look_up(table, image)


@functools.cache
def _fall_short() -> np.ndarray:
    """Codes 65536 min + 256 max + x of the levels where Pillow's arithmetic gives one less."""
    boundaries = []
    low, x = np.arange(256)[:, None], np.arange(256)
    for high in range(1, 256):
        scale = 255.0 / np.maximum(high - low, 1)
        pillow = (x * scale + -low * scale).astype(int)
        exact = 255 * (x - low) // np.maximum(high - low, 1)
        least, level = np.nonzero((pillow < exact) & (x > low) & (x <= high))
        boundaries.append(256 * (256 * least + high) + level)
    beyond = np.full(16, np.iinfo(np.int32).max)
    return np.concatenate([np.sort(np.concatenate(boundaries)), beyond]).astype(np.int32)


@on_bytes
def equalize(image: jax.Array) -> jax.Array:
    """Give each channel a histogram as flat as a map of its levels can make it.

        step = (N - count of the greatest level present) // 255
        x <- (step // 2 + how many pixels are below x) // step;    x where step = 0

    Args:
      image: (H, W, C), uint8, or float32 in [0, 1], which is taken in 256 levels.

    Returns:
      The image, of the same shape and dtype; on uint8 `PIL.ImageOps.equalize` to the bit.
    """
    count = histogram(image)
    below = jnp.cumsum(count, axis=1) - count
    step = jnp.max(jnp.where(count > 0, below, 0), axis=1, keepdims=True) // 255
    table = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255)
    return look_up(jnp.where(step > 0, table, jnp.arange(256)[None]), image)


@on_bytes
def posterize(image: jax.Array, bits: jax.typing.ArrayLike) -> jax.Array:
    """Keep the highest bits of each byte.

    Args:
      image: (H, W, C), uint8, or float32 in [0, 1], which is taken in 256 levels.
      bits: how many to keep, 0 to 8; 8 changes nothing.

    Returns:
      The image, of the same shape and dtype; on uint8 `PIL.ImageOps.posterize` to the bit.
    """
    dropped = jnp.asarray(8 - jnp.asarray(bits), jnp.int32)
    return ((image.astype(jnp.int32) >> dropped) << dropped).astype(jnp.uint8)


@on_bytes
def solarize(image: jax.Array, threshold: jax.typing.ArrayLike = 128) -> jax.Array:
    """Invert the levels from a threshold on.

        x <- 255 - x where x >= threshold

    Args:
      image: (H, W, C), uint8, or float32 in [0, 1], which is taken in 256 levels.
      threshold: of 256 levels; 256 changes nothing.

    Returns:
      The image, of the same shape and dtype; on uint8 `PIL.ImageOps.solarize` to the bit.
    """
    return jnp.where(image.astype(jnp.int32) < threshold, image, 255 - image)


def invert(image: jax.Array) -> jax.Array:
    """The negative of an image.

    Args:
      image: (H, W, C), uint8 or float32 in [0, 1].

    Returns:
      255 - x, or 1 - x, of the same shape and dtype.
    """
    require_levels(image.dtype)
    return 255 - image if image.dtype == jnp.uint8 else 1 - image


@on_floats
def gamma(image: jax.Array, exponent: jax.typing.ArrayLike) -> jax.Array:
    """A power of every level: above 1 darkens, below 1 brightens.

        x <- x^exponent,    x in [0, 1]

    Args:
      image: (H, W, C), uint8 or float32 in [0, 1].
      exponent: > 0.

    Returns:
      The image, of the same shape and dtype; uint8 is rounded.
    """
    return image**exponent
