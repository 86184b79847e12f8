"""Gaussian noise on the pixels."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.op import Op
from jaxopt_lab.augment.pixels import on_floats
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import NonNegative, checked


@declare(degrades=True)
@checked
def gaussian_noise(std: NonNegative = 0.1) -> Op:
    """Add independent Gaussian noise to every pixel and channel.

    The plainest vicinity of a sample; to first order a penalty on the gradient by the input.

        x <- clip(x + N(0, std^2), 0, 1)

    Args:
      std: in units of the range [0, 1], >= 0.

    Returns:
      An `Op` on (H, W, C) images; uint8 is rounded. Its draw is a key, so that the same draw on an
      image of another size is other noise.

    Raises:
      ArgumentError: for a negative standard deviation.

    Reference: Bishop, Training with noise is equivalent to Tikhonov regularization, 1995,
      https://doi.org/10.1162/neco.1995.7.1.108.

    Differs from: Keras' GaussianNoise, which does not clip.
    """

    @on_floats
    def noisy(image, key):
        return jnp.clip(image + std * jax.random.normal(key, image.shape, image.dtype), 0, 1)

    return Op(lambda key: key, lambda key, image: noisy(image, key))
