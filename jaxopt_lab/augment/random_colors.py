"""The tone operations of `colors`, drawn at random."""

from collections.abc import Callable
from typing import Annotated

import jax

from jaxopt_lab.augment.colors import (
    brightness,
    contrast,
    grayscale,
    hue,
    saturation,
    sharpness,
)
from jaxopt_lab.augment.op import Op, sometimes
from jaxopt_lab.core.ranges import Probability, Range, checked


@checked
def random_brightness(max_change: Probability = 0.4) -> Op:
    """Scale all levels by a random factor.

    For images whose exposure varies.

        factor ~ U(1 - max_change, 1 + max_change)

    Args:
      max_change: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a change out of [0, 1].

    Reference: Chen et al., SimCLR, 2020, https://arxiv.org/abs/2002.05709, appendix A.
    """
    return _about_one(brightness, max_change)


@checked
def random_contrast(max_change: Probability = 0.4) -> Op:
    """Scale the distance from the mean luma by a random factor.

    For images whose exposure varies.

        factor ~ U(1 - max_change, 1 + max_change)

    Args:
      max_change: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a change out of [0, 1].

    Reference: Chen et al., SimCLR, 2020, https://arxiv.org/abs/2002.05709, appendix A.
    """
    return _about_one(contrast, max_change)


@checked
def random_saturation(max_change: Probability = 0.4) -> Op:
    """Scale the distance from gray by a random factor.

    For natural images in color; it leaves images of one channel as they are.

        factor ~ U(1 - max_change, 1 + max_change)

    Args:
      max_change: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a change out of [0, 1].

    Reference: Chen et al., SimCLR, 2020, https://arxiv.org/abs/2002.05709, appendix A.
    """
    return _about_one(saturation, max_change)


@checked
def random_sharpness(max_change: Probability = 0.4) -> Op:
    """Blur a little or sharpen by a random factor.

    For images whose focus varies.

        factor ~ U(1 - max_change, 1 + max_change)

    Args:
      max_change: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a change out of [0, 1].

    Reference: Chen et al., SimCLR, 2020, https://arxiv.org/abs/2002.05709, appendix A.
    """
    return _about_one(sharpness, max_change)


@checked
def random_hue(max_turn: Annotated[float, Range(0, 0.5)] = 0.1) -> Op:
    """Turn the hue of RGB images by a random angle.

    For natural images whose class is not in the color; it leaves other channel counts as they are.

        turn ~ U(-max_turn, max_turn)

    Args:
      max_turn: in whole turns, 0 to 0.5.

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a turn out of [0, 0.5].

    Reference: Chen et al., SimCLR, 2020, https://arxiv.org/abs/2002.05709, appendix A.
    """

    def sample(key):
        return jax.random.uniform(key, minval=-max_turn, maxval=max_turn)

    return Op(sample, lambda turn, image: hue(image, turn))


@checked
def random_grayscale(probability: Probability = 0.2) -> Op:
    """Replace the color by its luma, with a probability.

    For natural images whose class is not in the color.

    Args:
      probability: in [0, 1].

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a probability out of [0, 1].

    Reference: Chen et al., SimCLR, 2020, https://arxiv.org/abs/2002.05709, appendix A.
    """
    return sometimes(grayscale, probability)


def _about_one(f: Callable[..., jax.Array], max_change: float) -> Op:
    def sample(key):
        return jax.random.uniform(key, minval=1 - max_change, maxval=1 + max_change)

    return Op(sample, lambda factor, image: f(image, factor))
