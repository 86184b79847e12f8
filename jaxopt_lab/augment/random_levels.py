"""The tone operations of `levels`, drawn at random."""

import math
from typing import Annotated

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.levels import autocontrast, equalize, gamma, invert, posterize, solarize
from jaxopt_lab.augment.op import Op, sometimes
from jaxopt_lab.core.ranges import Probability, Range, checked


@checked
def random_autocontrast(probability: Probability = 0.5) -> Op:
    """Stretch each channel to the whole range, with a probability.

    For images whose exposure varies.

    Args:
      probability: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a probability out of [0, 1].

    Reference: Cubuk et al., AutoAugment, 2019, https://arxiv.org/abs/1805.09501.
    """
    return sometimes(autocontrast, probability)


@checked
def random_equalize(probability: Probability = 0.5) -> Op:
    """Flatten the histogram of each channel, with a probability.

    Stronger than `random_autocontrast`.

    Args:
      probability: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a probability out of [0, 1].

    Reference: Cubuk et al., AutoAugment, 2019, https://arxiv.org/abs/1805.09501.
    """
    return sometimes(equalize, probability)


@checked
def random_invert(probability: Probability = 0.5) -> Op:
    """Take the negative, with a probability.

    Where bright on dark means the same as dark on bright.

    Args:
      probability: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a probability out of [0, 1].

    Reference: Cubuk et al., AutoAugment, 2019, https://arxiv.org/abs/1805.09501.
    """
    return sometimes(invert, probability)


@checked
def random_posterize(bits: Annotated[int, Range(0, 8)] = 4, probability: Probability = 0.5) -> Op:
    """Keep only the highest bits of each byte, with a probability.

    For images whose color depth varies.

    Args:
      bits: how many to keep, 0 to 8.
      probability: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for bits out of 0 to 8 or a probability out of [0, 1].

    Reference: Cubuk et al., AutoAugment, 2019, https://arxiv.org/abs/1805.09501.
    """
    return sometimes(lambda image: posterize(image, bits), probability)


@checked
def random_solarize(
    threshold: Annotated[int, Range(0, 256)] = 128, probability: Probability = 0.5
) -> Op:
    """Invert the levels from a threshold on, with a probability.

    One of the strong augmentations of contrastive learning.

    Args:
      threshold: of 256 levels, 0 to 256.
      probability: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a threshold out of 0 to 256 or a probability out of [0, 1].

    Reference: Cubuk et al., AutoAugment, 2019, https://arxiv.org/abs/1805.09501.
    """
    return sometimes(lambda image: solarize(image, threshold), probability)


@checked
def random_gamma(max_exponent: Annotated[float, Range(1)] = 1.5) -> Op:
    """Raise every level to a random power, darker and brighter equally often.

    For images whose exposure varies; black and white stay.

        x <- x^gamma,    log gamma ~ U(-log max_exponent, log max_exponent)

    Args:
      max_exponent: >= 1; its inverse is the least exponent.

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for an exponent below 1.

    Reference: scikit-image, adjust_gamma,
      https://scikit-image.org/docs/stable/api/skimage.exposure.html.
    """
    most = math.log(max_exponent)

    def sample(key):
        return jnp.exp(jax.random.uniform(key, minval=-most, maxval=most))

    return Op(sample, lambda exponent, image: gamma(image, exponent))
