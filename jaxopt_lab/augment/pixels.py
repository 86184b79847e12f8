"""Pixels: from bytes to numbers in [0, 1], and back."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.errors import InputError


def require_levels(dtype: jax.typing.DTypeLike) -> None:
    """Make sure that the numbers of an image have a meaning.

    Raises:
      InputError: for whole numbers that are not bytes, whose white nobody knows, and for booleans.
    """
    if dtype != jnp.uint8 and not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(
            f"an image must be uint8 or floating in [0, 1], got {np.dtype(dtype)}: divide it by "
            "its white, 65535 for one, or convert it to uint8"
        )


def unit(images: jax.Array) -> jax.Array:
    """Float32 in [0, 1] of uint8 images, or of float images that are there already."""
    require_levels(images.dtype)
    scale = 255.0 if images.dtype == jnp.uint8 else 1.0
    return images.astype(jnp.float32) / scale


def full_scale(value: jax.typing.ArrayLike, dtype: jax.typing.DTypeLike) -> jax.Array:
    """A number in [0, 1] as a level of an image of this dtype: 0 to 255 where that is uint8.

    Zero is one of every dtype, so that masks can be moved too.
    """
    if not (is_concrete(value) and not np.any(value)):
        require_levels(dtype)
    if jnp.issubdtype(dtype, jnp.integer):
        value = jnp.round(255 * jnp.asarray(value))
    return jnp.asarray(value, dtype)


def to_bytes(image: jax.Array) -> jax.Array:
    """A uint8 image as it is; numbers in [0, 1] to the nearest of 256 levels."""
    if image.dtype == jnp.uint8:
        return image
    require_levels(image.dtype)
    return jnp.round(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8)


def like(result: jax.Array, image: jax.Array) -> jax.Array:
    """A result in the dtype of the image that it came from."""
    if result.dtype == image.dtype:
        return result
    if image.dtype == jnp.uint8:
        return to_bytes(result)
    require_levels(image.dtype)
    return unit(result).astype(image.dtype)


def on_bytes(f: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """An operation on 256 levels, for floating images too, which are rounded to these first."""

    @functools.wraps(f)
    def wrapper(image, *args, **kwargs):
        return like(f(to_bytes(image), *args, **kwargs), image)

    return wrapper


def on_floats(f: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """An operation on numbers in [0, 1], for bytes too, where its result is rounded."""

    @functools.wraps(f)
    def wrapper(image, *args, **kwargs):
        return like(f(unit(image), *args, **kwargs), image)

    return wrapper
