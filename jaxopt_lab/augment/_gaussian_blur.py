"""Gaussian blur."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment._dtypes import on_floats
from jaxopt_lab.augment._op import Op
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Positive, checked


@checked
def gaussian_blur(min_sigma: Positive = 0.1, max_sigma: Positive = 2.0) -> Op:
    """Blur by a Gaussian of random width.

    One of the strong augmentations of contrastive learning. The edge is repeated beyond the image.

        sigma ~ U(min_sigma, max_sigma)

    Args:
      min_sigma, max_sigma: standard deviations in pixels, > 0.

    Returns:
      An `Op` on (H, W, C) images; uint8 is rounded.

    Raises:
      ArgumentError: for a width that is not positive, or `min_sigma` above `max_sigma`.

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
        weight = (weight / weight.sum()).astype(image.dtype)
        for axis in (0, 1):
            padding = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
            x, size = jnp.pad(image, padding, mode="edge"), image.shape[axis]
            image = jnp.zeros_like(image)
            for i in range(2 * reach + 1):
                image += weight[i] * jax.lax.slice_in_dim(x, i, i + size, axis=axis)
        return image

    return Op(sample, lambda sigma, image: blurred(image, sigma))
