"""What every augmentation of a batch keeps: `apply(key, images)` on (B, H, W, C)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.testing.compare import close, holds

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
    apply, images = jax.jit(apply), repeated(image, samples)
    repeats_with_its_key(apply, images)
    changes_with_its_key(apply, images)
    samples_differ(apply, images)
    return stays_in_range(apply, images)


def repeated(image: jax.Array, samples: int = 16) -> jax.Array:
    """A batch of one image."""
    return jnp.stack([image] * samples)


def _drawn(apply: Apply, images: jax.Array, seed: int = 0) -> np.ndarray:
    return np.asarray(apply(jax.random.key(seed), images))


def repeats_with_its_key(apply: Apply, images: jax.Array) -> None:
    """One key gives one batch."""
    close(_drawn(apply, images), _drawn(apply, images), "the same key gives the same batch")


def changes_with_its_key(apply: Apply, images: jax.Array) -> None:
    """Another key gives another batch."""
    differ = (_drawn(apply, images) != _drawn(apply, images, 1)).any()
    holds(differ, "another key gives another batch")


def samples_differ(apply: Apply, images: jax.Array) -> None:
    """Each sample of a batch has a draw of its own."""
    distinct = np.unique(_drawn(apply, images).reshape(len(images), -1), axis=0)
    holds(len(distinct) > 1, "each sample has a draw of its own")


def stays_in_range(apply: Apply, images: jax.Array) -> np.ndarray:
    """Floats stay in [0, 1] and bytes in [0, 255]; the batch of key 0."""
    a = _drawn(apply, images)
    high = 255 if a.dtype == np.uint8 else 1
    inside = a.min() >= 0 and a.max() <= high
    holds(inside, f"values stay in [0, {high}]: they are in [{a.min():g}, {a.max():g}]")
    return a


def jit_equals_eager(apply: Apply, images: jax.Array, atol: float = 1e-5) -> None:
    """The compiled batch is the eager one: floats to 1e-5 of their range, bytes to the last one."""
    jitted, eager = (_drawn(f, images).astype(float) for f in (jax.jit(apply), apply))
    most = 1 if images.dtype == np.uint8 else atol
    close(jitted, eager, "a jitted batch equals an eager one", atol=most)
