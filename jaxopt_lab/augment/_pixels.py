"""Raw pixels as numbers in [0, 1]."""

import jax
import jax.numpy as jnp


def unit(images: jax.Array) -> jax.Array:
    """Float32 in [0, 1] of uint8 images, or of float images that are there already."""
    scale = 255.0 if images.dtype == jnp.uint8 else 1.0
    return images.astype(jnp.float32) / scale
