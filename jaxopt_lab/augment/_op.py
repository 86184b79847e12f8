"""What an augmentation is: a draw, and its application to an image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax


@dataclass(frozen=True)
class Op:
    """An augmentation of one image, callable as `op(key, image) -> image`.

    The draw is apart from its application, so that it can be applied again: to a mask, or to a
    second view. `apply` holds no branch on the draw, so that it vectorizes over a batch.

    Attributes:
      sample: `key -> draw`, a pytree of arrays.
      apply: `(draw, image) -> image`, (H, W, C), float32 in [0, 1] or uint8: what goes in comes
        out.
    """

    sample: Callable[[jax.Array], Any]
    apply: Callable[[Any, jax.Array], jax.Array]

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        return self.apply(self.sample(key), image)


def compose(*ops: Op) -> Op:
    """One op that applies `ops` from left to right, each with a key of its own."""

    def sample(key):
        return tuple(op.sample(jax.random.fold_in(key, i)) for i, op in enumerate(ops))

    def apply(draws, image):
        for op, draw in zip(ops, draws, strict=True):
            image = op.apply(draw, image)
        return image

    return Op(sample, apply)


def batched(op: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable[..., jax.Array]:
    """`(key, images) -> images` over a leading batch axis, each sample with its own key."""

    def apply(key, images):
        return jax.vmap(op)(jax.random.split(key, images.shape[0]), images)

    return apply
