"""From an image's bytes to numbers and back, as the published corruptions round them."""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.pixels import unit
from jaxopt_lab.core.errors import InputError

Severity = Literal[1, 2, 3, 4, 5]


def checked_bytes(image: jax.Array) -> jax.Array:
    """The image itself, where it is one uint8 image (H, W, C).

    Raises:
      InputError: where it is anything else.
    """
    if image.dtype != jnp.uint8 or image.ndim != 3:
        raise InputError(
            f"a corruption takes one (H, W, C) uint8 image, got {image.shape} {image.dtype}; "
            "corrupt raw pixels, before normalization, and a batch through jax.vmap"
        )
    return image


def from_bytes(image: jax.Array) -> jax.Array:
    """Float32 in [0, 1] of one uint8 image (H, W, C); an InputError for anything else."""
    return unit(checked_bytes(image))


def truncated(x: jax.Array) -> jax.Array:
    """Uint8 of numbers in [0, 1]: clipped and truncated, but for what float32 may have lost."""
    return (255 * x.clip(0, 1) + 1e-3).astype(jnp.uint8)
