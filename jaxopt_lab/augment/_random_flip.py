"""Random horizontal flip."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.augment.op import Op
from jaxopt_lab.core.ranges import Probability, checked


@checked
def random_flip(probability: Probability = 0.5) -> Op:
    """Mirror left and right with a probability.

    For images whose class has no handedness; not for digits or letters.

        x[h, w] <- x[h, W - 1 - w]    with probability p

    Args:
      probability: p in [0, 1].

    Returns:
      An `Op` on (H, W, C) images of any dtype and size.

    Raises:
      ArgumentError: for a probability out of [0, 1].

    Reference: Krizhevsky et al., 2012, section 4.1.
    """

    def sample(key):
        return jax.random.bernoulli(key, probability)

    def apply(flip, image):
        def gathered(flip, image):  # on a CPU faster than to choose
            column = jnp.arange(image.shape[1])
            return jnp.take(image, jnp.where(flip, column[::-1], column), axis=1, mode="clip")

        def chosen(flip, image):
            return jnp.where(flip, image[:, ::-1], image)

        return lax.platform_dependent(flip, image, tpu=chosen, default=gathered)

    def places(flip, sides):
        column = jnp.arange(sides[1])
        return jnp.arange(sides[0]), jnp.where(flip, column[::-1], column)

    return Op(sample, apply, places=places)
