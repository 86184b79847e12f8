"""Raw pixels to a network's input."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.rows import chunks, is_lazy


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, float32 (C,), as `make_normalize` wants them.

    Of (N, H, W, C) uint8 images in [0, 1], from the counts of the 256 values, so exact and without
    a float copy of the data; of (..., C) floats as they are. A mapped array is read once, a piece
    at a time.
    """
    if images.dtype != np.uint8 and is_lazy(images):
        return _statistics_of_pieces(images)
    if images.dtype != np.uint8:
        columns = images.reshape(-1, images.shape[-1])
        mean, std = columns.mean(0, dtype=np.float64), columns.std(0, dtype=np.float64)
        return mean.astype(np.float32), std.astype(np.float32)
    values = np.arange(256) / 255
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for piece in chunks(images):
        for c, row in enumerate(counts):
            row += np.bincount(piece[..., c].reshape(-1), minlength=256)
    share = counts / counts.sum(1, keepdims=True)
    mean = share @ values
    std = np.sqrt((share * (values - mean[:, None]) ** 2).sum(1))
    return mean.astype(np.float32), std.astype(np.float32)


def _statistics_of_pieces(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of floats, merged by Chan, Golub and LeVeque, https://doi.org/10.1080/00031305.1983.10483115."""
    seen, mean, spread = 0, np.zeros(images.shape[-1]), np.zeros(images.shape[-1])
    for piece in chunks(images):
        columns = piece.reshape(-1, piece.shape[-1])
        count, here = len(columns), columns.mean(0, dtype=np.float64)
        apart = here - mean
        spread += columns.var(0, dtype=np.float64) * count
        spread += apart**2 * (seen * count / (seen + count))
        mean += apart * (count / (seen + count))
        seen += count
    return mean.astype(np.float32), np.sqrt(spread / seen).astype(np.float32)


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
