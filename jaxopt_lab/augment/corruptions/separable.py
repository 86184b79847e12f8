"""Blurs and zooms whose rows and columns are apart, as a matrix for each."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np


def separable(rows: np.ndarray, columns: np.ndarray, x: jax.Array) -> jax.Array:
    """`rows @ x[:, :, c] @ columns.T` of each channel, in full float32 on every device."""
    left, right = jnp.asarray(rows, jnp.float32), jnp.asarray(columns, jnp.float32)
    return jnp.einsum("hi,wj,ijc->hwc", left, right, x, precision="highest")


def gaussian_matrix(
    size: int, sigma: float, *, mode: Literal["edge", "symmetric"], truncate: float = 4.0
) -> np.ndarray:
    """A Gaussian filter along one axis, (size, size); cut off at `truncate` sigmas."""
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return np.eye(size)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    source = np.pad(np.arange(size), radius, mode=mode)
    matrix = np.zeros((size, size))
    for k, tap in enumerate(taps / taps.sum()):
        matrix[np.arange(size), source[k : k + size]] += tap
    return matrix


def zoom_matrix(size: int, factor: float) -> np.ndarray:
    """The middle of an axis, `factor` times as large, by linear interpolation, (size, size)."""
    inner = math.ceil(size / factor)
    zoomed = round(inner * factor)
    trim = (zoomed - size) // 2
    place = np.linspace(0, inner - 1, zoomed)[trim : trim + size]
    low = np.floor(place).astype(int)
    high, start = np.minimum(low + 1, inner - 1), (size - inner) // 2
    matrix = np.zeros((size, size))
    matrix[np.arange(size), start + low] += 1 - (place - low)
    matrix[np.arange(size), start + high] += place - low
    return matrix
