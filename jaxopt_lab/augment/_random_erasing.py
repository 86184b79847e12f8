"""Random erasing."""

import math
from typing import Annotated

import jax
import jax.numpy as jnp

from jaxopt_lab.augment._cutout import box
from jaxopt_lab.augment.op import Op
from jaxopt_lab.augment.pixels import full_scale, like
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Probability, Range, checked


@declare(degrades=True)
@checked
def random_erasing(
    probability: Probability = 0.5,
    min_share: Probability = 0.02,
    max_share: Probability = 0.33,
    max_aspect: Annotated[float, Range(1)] = 3.3,
    *,
    fill: Annotated[float | None, Range(0, 1)] = None,
) -> Op:
    """Blank a rectangle of random area, aspect and place, with a probability.

    Like `cutout`, with a box that varies and always lies inside.

        share ~ U(min_share, max_share),    log aspect ~ U(-log max_aspect, log max_aspect)
        height = sqrt(share aspect H W),    width = sqrt(share H W / aspect),    rounded

    Args:
      probability: of erasing anything, in [0, 1].
      min_share, max_share: of the image's area, in [0, 1].
      max_aspect: the greatest height over width, >= 1; its inverse is the least.
      fill: a level in [0, 1]; None for uniform noise in every pixel and channel.

    Returns:
      An `Op` on (H, W, C) images.

    Raises:
      ArgumentError: for a value out of its range, or `min_share` above `max_share`.

    Reference: Zhong et al., 2020, https://arxiv.org/abs/1708.04896.

    Differs from: the paper, which draws again where the box does not fit: here its sides are
      limited to the image's.
    """
    if min_share > max_share:
        text = f"must be at most max_share = {max_share}, got {min_share}"
        raise ArgumentError("random_erasing", {"min_share": text})
    most = math.log(max_aspect)

    def sample(key):
        erase, area, shape, place, noise = jax.random.split(key, 5)
        return {
            "erase": jax.random.bernoulli(erase, probability),
            "share": jax.random.uniform(area, minval=min_share, maxval=max_share),
            "aspect": jnp.exp(jax.random.uniform(shape, minval=-most, maxval=most)),
            "place": jax.random.uniform(place, (2,)),
            "noise": noise,
        }

    def apply(draw, image):
        size = jnp.array(image.shape[:2])
        sides = jnp.sqrt(draw["share"] * size[0] * size[1])
        sides = sides * jnp.sqrt(jnp.stack([draw["aspect"], 1 / draw["aspect"]]))
        sides = jnp.minimum(jnp.round(sides).astype(int), size)
        start = jnp.floor(draw["place"] * (size - sides + 1)).astype(int)
        if fill is None:
            blank = like(jax.random.uniform(draw["noise"], image.shape), image)
        else:
            blank = full_scale(fill, image.dtype)
        return jnp.where(draw["erase"] & box(image, start, start + sides), blank, image)

    return Op(sample, apply)
