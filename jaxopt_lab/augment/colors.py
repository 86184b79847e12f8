"""Tone by blending with a plainer image: brightness, contrast, saturation, sharpness; and hue.

On uint8 they follow Pillow's `ImageEnhance`: the plainer image is in bytes, the blend is truncated.
The luma of RGB is ITU-R 601's; of an image with another number of channels it is their mean.
"""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.pixels import on_floats, require_levels


def brightness(image: jax.Array, factor: jax.typing.ArrayLike) -> jax.Array:
    """Blend with black: x <- factor x, clipped.

    Args:
      image: (H, W, C), uint8 or float32 in [0, 1].
      factor: >= 0; 0 is black, 1 changes nothing.

    Returns:
      The image, of the same shape and dtype; on uint8 `PIL.ImageEnhance.Brightness`.
    """
    return _blend(jnp.zeros_like(image), image, factor)


def contrast(image: jax.Array, factor: jax.typing.ArrayLike) -> jax.Array:
    """Blend with the mean luma m: x <- m + factor (x - m), clipped.

    Args:
      image: (H, W, C), uint8 or float32 in [0, 1].
      factor: >= 0; 0 is one gray, 1 changes nothing.

    Returns:
      The image, of the same shape and dtype; on uint8 `PIL.ImageEnhance.Contrast`.
    """
    luma = _luma(image)
    if image.dtype == jnp.uint8:
        mean = (luma.astype(jnp.int32).sum() + luma.size // 2) // luma.size
    else:
        mean = luma.mean()
    return _blend(jnp.full_like(image, mean.astype(image.dtype)), image, factor)


def saturation(image: jax.Array, factor: jax.typing.ArrayLike) -> jax.Array:
    """Blend with the gray image g: x <- g + factor (x - g), clipped.

    Args:
      image: (H, W, C), uint8 or float32 in [0, 1].
      factor: >= 0; 0 is gray, 1 changes nothing.

    Returns:
      The image, of the same shape and dtype; on uint8 `PIL.ImageEnhance.Color`.
    """
    return _blend(grayscale(image), image, factor)


def sharpness(image: jax.Array, factor: jax.typing.ArrayLike) -> jax.Array:
    """Blend with a smoothed image s: x <- s + factor (x - s), clipped.

    s is the 3x3 mean with weight 5 at the center; the border is not smoothed.

    Args:
      image: (H, W, C), uint8 or float32 in [0, 1].
      factor: >= 0; 0 is smoothed, 1 changes nothing.

    Returns:
      The image, of the same shape and dtype; on uint8 `PIL.ImageEnhance.Sharpness`.
    """
    h, w, _ = image.shape
    wide = jnp.int32 if image.dtype == jnp.uint8 else image.dtype
    x = jnp.pad(image.astype(wide), ((1, 1), (1, 1), (0, 0)))
    rows = x[:-2] + x[1:-1] + x[2:]
    total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * x[1:-1, 1:-1]
    smooth = (2 * total + 13) // 26 if image.dtype == jnp.uint8 else total / 13
    row, column = jnp.arange(h)[:, None, None], jnp.arange(w)[None, :, None]
    inner = (row > 0) & (row < h - 1) & (column > 0) & (column < w - 1)
    return _blend(jnp.where(inner, smooth.astype(image.dtype), image), image, factor)


def grayscale(image: jax.Array) -> jax.Array:
    """The luma in every channel.

    Args:
      image: (H, W, C), uint8 or float32 in [0, 1].

    Returns:
      The image, of the same shape and dtype; on uint8 Pillow's "L" to the bit.
    """
    return jnp.broadcast_to(_luma(image), image.shape)


@on_floats
def hue(image: jax.Array, turn: jax.typing.ArrayLike) -> jax.Array:
    """Turn the hue of an RGB image, leaving its HSV saturation and value.

    Args:
      image: (H, W, C), uint8 or float32 in [0, 1]; only where C = 3 is there a hue to change.
      turn: in whole turns: 1/3 takes red to green.

    Returns:
      The image, of the same shape and dtype; uint8 is rounded.

    Differs from: Pillow's HSV mode, which rounds hue and saturation to bytes on the way.
    """
    if image.shape[-1] != 3:
        return image
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    value, chroma = image.max(-1), image.max(-1) - image.min(-1)
    divisor = jnp.where(chroma > 0, chroma, 1)
    sixths = jnp.where(
        value == red,
        (green - blue) / divisor,
        jnp.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    place = jnp.array([[[5.0, 3.0, 1.0]]], image.dtype) + (sixths + 6 * turn)[..., None]
    place = place % 6
    away = jnp.clip(jnp.minimum(place, 4 - place), 0, 1)
    return value[..., None] - chroma[..., None] * away


def _luma(image: jax.Array) -> jax.Array:
    """(H, W, 1), in the image's dtype; in bytes by Pillow's integer weights."""
    require_levels(image.dtype)
    if image.shape[-1] != 3:
        if image.dtype == jnp.uint8:
            return image.astype(jnp.int32).mean(-1, keepdims=True).round().astype(jnp.uint8)
        return image.mean(-1, keepdims=True)
    if image.dtype == jnp.uint8:
        weighted = image.astype(jnp.int32) * jnp.array([[[19595, 38470, 7471]]], jnp.int32)
        return ((weighted.sum(-1, keepdims=True) + 0x8000) >> 16).astype(jnp.uint8)
    weights = jnp.array([[[0.299, 0.587, 0.114]]], image.dtype)
    return (image * weights).sum(-1, keepdims=True)


def _blend(plain: jax.Array, image: jax.Array, factor: jax.typing.ArrayLike) -> jax.Array:
    require_levels(image.dtype)
    wide = jnp.float32 if image.dtype == jnp.uint8 else image.dtype
    a, b = plain.astype(wide), image.astype(wide)
    top = 255 if image.dtype == jnp.uint8 else 1
    # The inner clip changes no result; it keeps XLA from fusing product and sum, which in the last
    # bit would not be what Pillow computes.
    change = jnp.clip(jnp.asarray(factor, wide) * (b - a), -top, top)
    return jnp.clip(a + change, 0, top).astype(image.dtype)
