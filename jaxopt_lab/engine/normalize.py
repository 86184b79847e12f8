"""Raw pixels to a network's input."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, float32 (C,), as `make_normalize` wants them.

    Of (N, H, W, C) uint8 images in [0, 1], from the counts of the 256 values, so exact and without
    a float copy of the data; of (..., C) floats as they are.
    """
    if images.dtype != np.uint8:
        columns = images.reshape(-1, images.shape[-1])
        mean, std = columns.mean(0, dtype=np.float64), columns.std(0, dtype=np.float64)
        return mean.astype(np.float32), std.astype(np.float32)
    values = np.arange(256) / 255
    counts = np.stack(
        [np.bincount(images[..., c].reshape(-1), minlength=256) for c in range(images.shape[-1])]
    )
    share = counts / counts.sum(1, keepdims=True)
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(1))
    return mean.astype(np.float32), std.astype(np.float32)


def make_normalize(mean: np.ndarray, std: np.ndarray) -> Callable[[jax.Array], jax.Array]:
    """`images -> (pixels - mean) / std`, float32, per channel.

    Args:
      mean, std: (C,), of pixels in [0, 1]. A channel of one value only (std 0) is left unscaled.

    Returns:
      A function of (..., C) images, uint8 or float in [0, 1], or of any floats.
    """
    scale = np.where(std > 0, std, 1).astype(np.float32)

    def normalize(images: jax.Array) -> jax.Array:
        unit = 255.0 if images.dtype == jnp.uint8 else 1.0
        rank = (1,) * (images.ndim - 1)
        x = images.astype(jnp.float32) / unit
        return (x - mean.reshape(*rank, -1)) / scale.reshape(*rank, -1)

    return normalize
