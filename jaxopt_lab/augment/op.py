"""What an augmentation is: a draw, and its application to an image."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.taking import take_again, take_grid


@dataclass(frozen=True)
class Op:
    """An augmentation of one image, callable as `op(key, image) -> image`.

    The draw is apart from its application, so that it can be applied again: to a mask, or to a
    second view. A draw knows no image size, so that the mask may have another one.

    A batch has its own form, `draw_batch` and `apply_batch`, which is one draw for each image
    unless the op brings a faster one.

    Attributes:
      sample: `key -> draw`, a pytree of arrays.
      apply: `(draw, image) -> image`, (H, W, C), float32 in [0, 1] or uint8: what goes in comes
        out, unless the op says otherwise.
      sample_batch: `(key, n) -> draws` of n images, or None.
      apply_images: `(draws, images) -> images`, which belongs to `sample_batch`, or None.
      places: `(draw, (H, W)) -> (rows, columns)` of an op that only moves pixels: those of its
        input where those of its output are, as `taking.take_grid` has them; or None. `compose`
        makes one move of several.
    """

    sample: Callable[[jax.Array], Any]
    apply: Callable[[Any, jax.Array], jax.Array]
    sample_batch: Callable[[jax.Array, int], Any] | None = None
    apply_images: Callable[[Any, jax.Array], jax.Array] | None = None
    places: Callable[[Any, tuple[int, int]], tuple[jax.Array, jax.Array]] | None = None

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        return self.apply(self.sample(key), image)

    def draw_batch(self, key: jax.Array, n: int) -> Any:
        """The draws of n images."""
        if self.sample_batch is not None:
            return self.sample_batch(key, n)
        return jax.vmap(self.sample)(jax.random.split(key, n))

    def apply_batch(self, draws: Any, images: jax.Array) -> jax.Array:
        """What `draw_batch` drew, applied to (B, H, W, C) images."""
        apply = self.apply_images if self.apply_images is not None else jax.vmap(self.apply)
        return apply(draws, images)


def moving(
    sample: Callable[[jax.Array], Any],
    places: Callable[[Any, tuple[int, int]], tuple[jax.Array, jax.Array]],
) -> Op:
    """An op that only moves pixels, from its draws and its places."""

    def apply(draw, image):
        return take_grid(image, *places(draw, image.shape[:2]))

    return Op(sample, apply, places=places)


def compose(*ops: Op) -> Op:
    """One op that applies `ops` from left to right, each with a key of its own.

    Neighbors that only move pixels, such as a crop and a flip, move them once.
    """

    def keys(key):
        return (jax.random.fold_in(key, i) for i in range(len(ops)))

    def sample(key):
        return tuple(op.sample(k) for op, k in zip(ops, keys(key), strict=True))

    def apply(draws, image):
        for op, draw in moved_once(draws):
            image = op.apply(draw, image)
        return image

    def sample_batch(key, n):
        return tuple(op.draw_batch(k, n) for op, k in zip(ops, keys(key), strict=True))

    def apply_images(draws, images):
        for op, draw in moved_once(draws):
            images = op.apply_batch(draw, images)
        return images

    def moved_once(draws):
        """The ops with their draws, those in a row that move pixels as one with theirs."""

        def moves(pair):
            return pair[0].places is not None

        for are_moves, pairs in itertools.groupby(zip(ops, draws, strict=True), moves):
            group = list(pairs)
            if are_moves and len(group) > 1:
                row, theirs = zip(*group, strict=True)
                yield _one_move(row), theirs
            else:
                yield from group

    return Op(sample, apply, sample_batch, apply_images)


def _one_move(ops: Sequence[Op]) -> Op:
    """Ops that move pixels as one, whose draw is all of theirs."""

    def places(draws, sides):
        rows, columns = (jnp.arange(side) for side in sides)
        for op, draw in zip(ops, draws, strict=True):
            assert op.places is not None
            then = op.places(draw, (len(rows), len(columns)))
            rows, columns = take_again(rows, then[0]), take_again(columns, then[1])
        return rows, columns

    return moving(ops[0].sample, places)


def per_batch(op: Op) -> Op:
    """`op` with one draw for all images of a batch: cheaper, and less random."""

    def sample_batch(key, n):
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), op.sample(key))

    return Op(op.sample, op.apply, sample_batch, jax.vmap(op.apply))


def batched(op: Op) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """`(key, images) -> images` over a leading batch axis, each sample with its own draw."""

    def apply(key, images):
        return op.apply_batch(op.draw_batch(key, images.shape[0]), images)

    return apply


def sometimes(f: Callable[[jax.Array], jax.Array], probability: float) -> Op:
    """`f` on an image with a probability; otherwise the image as it is."""

    def sample(key):
        return jax.random.bernoulli(key, probability)

    return Op(sample, lambda chosen, image: jnp.where(chosen, f(image), image))
