"""An operation with a probability."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_lab.augment._op import Op


def sometimes(f: Callable[[jax.Array], jax.Array], probability: float) -> Op:
    """`f` on an image with a probability; otherwise the image as it is."""

    def sample(key):
        return jax.random.bernoulli(key, probability)

    return Op(sample, lambda chosen, image: jnp.where(chosen, f(image), image))
