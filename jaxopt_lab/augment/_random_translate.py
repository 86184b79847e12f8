"""Random translation."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.geometry import translate
from jaxopt_lab.augment.op import Op
from jaxopt_lab.core.ranges import Probability, checked


@checked
def random_translate(max_share: Probability = 0.1, *, fill: Probability = 0.0) -> Op:
    """Move by a random share of the image's size, in whole pixels.

    Like `random_crop`, but relative to the size and with any fill.

        x ~ round(W U(-max_share, max_share)),    y ~ round(H U(-max_share, max_share))

    Args:
      max_share: of the width and of the height, in [0, 1].
      fill: what stands where the source lies outside, in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a share or a fill out of [0, 1].

    Reference: Simard et al., Best practices for convolutional neural networks, 2003,
      https://doi.org/10.1109/ICDAR.2003.1227801.
    """

    def sample(key):
        return jax.random.uniform(key, (2,), minval=-max_share, maxval=max_share)

    def apply(share, image):
        pixels = jnp.round(share * jnp.array(image.shape[:2])).astype(int)
        return translate(image, pixels[1], pixels[0], fill=fill)

    return Op(sample, apply)
