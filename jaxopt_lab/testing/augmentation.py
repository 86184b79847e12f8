"""What every augmentation of a batch keeps: `apply(key, images)` on (B, H, W, C)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.testing.compare import holds

Apply = Callable[[jax.Array, jax.Array], jax.Array]


def keeps_shape_and_dtype(apply: Apply, shape: tuple[int, ...], dtype: Any, out: Any) -> None:
    """(B, H, W, C) in, (B, H, W, C) out; `out` is the dtype that comes out."""
    y = jax.eval_shape(apply, jax.random.key(0), jax.ShapeDtypeStruct(shape, dtype))
    found = (y.shape, y.dtype)
    holds(found == (shape, out), f"{shape} {np.dtype(out)} comes out of {dtype}, not {found}")


def is_drawn_by_its_key(apply: Apply, image: jax.Array, samples: int = 16) -> np.ndarray:
    """One key gives one batch, another key another; samples differ, and stay in the range.

    Returns:
      The batch of key 0: `image` (H, W, C) repeated, each with its own draw.
    """
    images, jitted = jnp.stack([image] * samples), jax.jit(apply)
    a, b, c = (np.asarray(jitted(jax.random.key(k), images)) for k in (0, 0, 1))
    np.testing.assert_array_equal(a, b, "the same key gives the same batch")
    holds((a != c).any(), "another key gives another batch")
    distinct = np.unique(a.reshape(samples, -1), axis=0)
    holds(len(distinct) > 1, "each sample has a draw of its own")
    high = 255 if a.dtype == np.uint8 else 1
    holds(a.min() >= 0 and a.max() <= high, f"values stay in [0, {high}]")
    return a
