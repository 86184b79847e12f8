"""Gaussian blur."""

from typing import Annotated

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.op import Op
from jaxopt_lab.augment.pixels import on_floats
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Range, checked

Sigma = Annotated[float, Range(0, 1000, low_open=True)]


@declare(degrades=True)
@checked
def gaussian_blur(min_sigma: Sigma = 0.1, max_sigma: Sigma = 2.0) -> Op:
    """Blur by a Gaussian of random width.

    One of the strong augmentations of contrastive learning. The edge is repeated beyond the image.

        sigma ~ U(min_sigma, max_sigma)

    Args:
      min_sigma, max_sigma: standard deviations in pixels, > 0 and <= 1000. The time to compile and
        to run grows with `max_sigma` up to a quarter of the image's side, and no further.

    Returns:
      An `Op` on (H, W, C) images; uint8 is rounded.

    Raises:
      ArgumentError: for a width out of its range, or `min_sigma` above `max_sigma`.

    Reference: Chen et al., SimCLR, 2020, https://arxiv.org/abs/2002.05709, appendix A.

    Differs from: Pillow, whose blur is three box blurs.
    """
    if min_sigma > max_sigma:
        text = f"must be at most max_sigma = {max_sigma}, got {min_sigma}"
        raise ArgumentError("gaussian_blur", {"min_sigma": text})
    reach = int(4 * max_sigma + 0.5)  # the kernel ends at 4 standard deviations, as SciPy's

    def sample(key):
        return jax.random.uniform(key, minval=min_sigma, maxval=max_sigma)

    @on_floats
    def blurred(image, sigma):
        distance = jnp.arange(-reach, reach + 1)
        weight = jnp.exp(-0.5 * (distance / sigma) ** 2)
        weight = jnp.where(abs(distance) <= jnp.floor(4 * sigma + 0.5), weight, 0)
        weight = weight / weight.sum()
        for axis in (0, 1):
            size = image.shape[axis]
            near = min(reach, size - 1)
            taps = _folded(weight, near).astype(image.dtype)
            padding = [(near, near) if a == axis else (0, 0) for a in range(3)]
            x = jnp.pad(image, padding, mode="edge")
            image = jnp.zeros_like(image)
            for i in range(2 * near + 1):
                image += taps[i] * jax.lax.slice_in_dim(x, i, i + size, axis=axis)
        return image

    return Op(sample, lambda sigma, image: blurred(image, sigma))


def _folded(weight: jax.Array, near: int) -> jax.Array:
    """The kernel of 2 near + 1 taps whose ends bear what was beyond them.

    Exact where no pixel is further than `near` from an edge that is repeated.
    """
    far = len(weight) // 2 - near
    if far == 0:
        return weight
    inner = weight[far:-far]
    return inner.at[0].add(weight[:far].sum()).at[-1].add(weight[-far:].sum())
