"""One of several operations at random, an image, without computing all of them."""

from collections.abc import Callable, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.op import Op
from jaxopt_lab.augment.pixels import like, to_bytes
from jaxopt_lab.core.ranges import Range

# What a policy chooses from: (image, signed strength) -> image, on bytes.
Operations = Annotated[int, Range(1, 50)]
"""How many one after another: all of each are written out in the program."""

Operation = Callable[[jax.Array, jax.Array], jax.Array]


def one_of(
    operations: Sequence[Operation],
    strength: Callable[[jax.Array, tuple[int, ...]], jax.Array],
    *,
    exact_iid: bool,
) -> Op:
    """An op that applies one operation, drawn uniformly, with a drawn strength.

    A branch under `vmap` costs all its sides. So a batch is dealt out instead: each operation gets
    an equal part of the shuffled images, and is computed for that part only.

    Args:
      operations: k of them.
      strength: `(key, shape) -> strengths`.
      exact_iid: static; compute all operations for every image and choose, which makes the choices
        of a batch independent. Dealt out, each image's operation is uniform too, but two images of
        a batch get the same one less often: with probability (m - 1)/(k m - 1) instead of 1/k,
        where m = ceil(B/k).
    """
    count = len(operations)

    def sample(key):
        which, how = jax.random.split(key)
        return jax.random.randint(which, (), 0, count), strength(how, ())

    def apply(draw, image):
        which, how = draw
        return like(switched(operations, which, how, to_bytes(image)), image)

    def sample_batch(key, n):
        which, how = jax.random.split(key)
        return deal(which, n, count), strength(how, (n,))

    def apply_images(draws, images):
        place, how = draws
        return like(dealt(operations, place, how, to_bytes(images)), images)

    return Op(sample, apply) if exact_iid else Op(sample, apply, sample_batch, apply_images)


def switched(
    operations: Sequence[Operation], which: jax.Array, strength: jax.Array, image: jax.Array
) -> jax.Array:
    """Operation number `which` of one image."""
    return jax.lax.switch(which, operations, image, strength)


def deal(key: jax.Array, n: int, groups: int) -> jax.Array:
    """Places of n images, (n,), drawn without replacement from `groups` equal runs of places."""
    return jax.random.permutation(key, groups * places(n, groups))[:n]


def places(n: int, groups: int) -> int:
    """How many places a group has, so that n images find theirs."""
    return -(-n // groups)


def seated(place: jax.Array, groups: int) -> jax.Array:
    """Which image sits at each place; at an empty one the first, whose result nobody reads."""
    n = place.shape[0]
    return jnp.zeros(groups * places(n, groups), int).at[place].set(jnp.arange(n))


def dealt(
    operations: Sequence[Operation], place: jax.Array, strength: jax.Array, images: jax.Array
) -> jax.Array:
    """Every image by the operation in whose run its place lies."""
    if images.shape[0] == 0:
        return images
    run = places(images.shape[0], len(operations))
    image = seated(place, len(operations))
    images, strength = images[image], strength[image]
    done = [
        jax.vmap(f)(images[i * run : (i + 1) * run], strength[i * run : (i + 1) * run])
        for i, f in enumerate(operations)
    ]
    return jnp.concatenate(done)[place]
