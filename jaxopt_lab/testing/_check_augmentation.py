"""Any augmentation of images against everything that one is expected to keep."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.testing import augmentation as a
from jaxopt_lab.testing.promise import NotLookedAtError, Plan, checking, plan_of, promise


@dataclass(frozen=True)
class _Subject:
    apply: a.Apply
    shape: tuple[int, ...]
    dtypes: tuple[Any, ...]
    out: Any
    draws: bool

    def images(self, dtype: Any = None) -> jax.Array:
        """A batch of one image."""
        dtype = np.dtype(dtype or self.dtypes[0])
        x = np.random.default_rng(0).integers(0, 256, self.shape)
        return a.repeated(jnp.asarray((x if dtype == np.uint8 else x / 255).astype(dtype)))

    def require_draws(self) -> None:
        """Raises `NotLookedAtError` where nothing is drawn."""
        if not self.draws:
            raise NotLookedAtError("nothing is drawn (draws=False)")


@promise(
    "A batch has one shape and one dtype, which the network was compiled for.",
    "Crop or pad back to the image's own size, and cast back to its dtype, rounding to bytes.",
)
def shape_and_dtype(subject: _Subject) -> None:
    """What goes in comes out: shape and dtype of the images."""
    for dtype in subject.dtypes:
        shape = (4, *subject.shape)
        a.keeps_shape_and_dtype(subject.apply, shape, dtype, subject.out or dtype)


@promise(
    "Augmentation is compiled into the training step.",
    "Draw with jax.random and choose with jnp.where; no NumPy, no if on a draw.",
)
def jit(subject: _Subject) -> None:
    """The compiled batch is the eager one."""
    for dtype in subject.dtypes:
        a.jit_equals_eager(subject.apply, subject.images(dtype))


@promise(
    "A resumed run draws what the run that was not stopped would have drawn.",
    "Draw from the given key alone, never from NumPy's or Python's generators.",
)
def one_key_one_batch(subject: _Subject) -> None:
    """The same key gives the same batch."""
    a.repeats_with_its_key(subject.apply, subject.images())


@promise(
    "An augmentation that ignores its key shows the network the same images in every epoch.",
    "Draw from the given key, split for each draw; give draws=False for what is not random.",
)
def another_key_another_batch(subject: _Subject) -> None:
    """Another key gives another batch."""
    subject.require_draws()
    a.changes_with_its_key(subject.apply, subject.images())


@promise(
    "One draw for the whole batch makes its samples alike, and the gradient noisier.",
    "Split the key, one for each sample, and map over them with jax.vmap.",
    "another_key_another_batch",
)
def a_draw_a_sample(subject: _Subject) -> None:
    """Each sample of a batch has a draw of its own."""
    subject.require_draws()
    a.samples_differ(subject.apply, subject.images())


@promise(
    "Values out of range wrap around as bytes, and are normalized with the wrong statistics.",
    "End with jnp.clip(image, 0, 1), or clip to [0, 255] before the cast to bytes.",
)
def value_range(subject: _Subject) -> None:
    """Floats stay in [0, 1], bytes in [0, 255]."""
    for dtype in subject.dtypes:
        a.stays_in_range(subject.apply, subject.images(dtype))


@checking(
    (
        shape_and_dtype,
        jit,
        one_key_one_batch,
        another_key_another_batch,
        a_draw_a_sample,
        value_range,
    )
)
def check_augmentation(
    op: Callable[..., Any],
    *,
    shape: Sequence[int] = (8, 6, 3),
    dtypes: Sequence[Any] = (np.float32, np.uint8),
    out: Any = None,
    draws: bool = True,
    batched: bool = False,
    name: str | None = None,
    skip: Mapping[str, str] | None = None,
) -> Plan:
    """Look at everything that an augmentation of images is expected to keep.

    Args:
      op: `op(key, image) -> image`, of one image (H, W, C).
      shape: (H, W, C) in pixels, of the image that is tried.
      dtypes: those that it takes, floats in [0, 1] and bytes; `(np.float32,)` for one of them.
      out: the dtype that comes out, where it is not the one that goes in.
      draws: whether it is random.
      batched: whether `op` takes `(key, images)` of a whole batch (B, H, W, C).
      name: of the augmentation, for people.
      skip: promises that are left out, each with the reason.

    Returns:
      A `Report`.

    Raises:
      AssertionError: with all promises that are broken.
      ArgumentError: for what cannot be called, a shape that is none of an image, and a skip that is
        wrong.
    """
    if not callable(op):
        text = f"must be a function of a key and an image, got {op!r}"
        raise ArgumentError("check_augmentation", {"op": text})
    if len(shape) != 3 or min(shape) < 1:
        text = f"must be (height, width, channels), each >= 1, got {shape!r}"
        raise ArgumentError("check_augmentation", {"shape": text})

    def apply(key: jax.Array, images: jax.Array) -> jax.Array:
        if batched:
            return op(key, images)
        return jax.vmap(op)(jax.random.split(key, len(images)), images)

    kinds = tuple(np.dtype(dtype) for dtype in dtypes)
    subject = _Subject(apply, tuple(shape), kinds, out and np.dtype(out), draws)
    return plan_of(op, subject, name, skip)
