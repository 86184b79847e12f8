"""A clean and several augmented views of every image."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.op import Op, batched
from jaxopt_lab.augment.pixels import unit
from jaxopt_lab.core.ranges import Count, checked


@checked
def views(op: Op, augmented: Count = 2) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A batch followed by augmented copies of it, for one forward pass of all.

    What a consistency loss compares: with `augmix` the clean images and two mixtures.

    Args:
      op: what augments, with a draw of its own for each view.
      augmented: number of views beside the clean one, >= 1.

    Returns:
      `(key, images) -> ((1 + augmented) B, H, W, C)` float32 in [0, 1]: the clean images, then all
      of the first augmented view, and so on, so that `.reshape(1 + augmented, B, ...)` parts them.

    Raises:
      ArgumentError: for fewer than 1 augmented view.
    """

    def apply(key, images):
        copies = jnp.tile(images, (augmented, 1, 1, 1))
        return jnp.concatenate([unit(images), unit(batched(op)(key, copies))])

    return apply
