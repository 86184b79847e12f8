"""The direction of steepest ascent of a loss in the largest change of any pixel."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.pixels import unit
from jaxopt_lab.core.arrays import is_concrete
from jaxopt_lab.core.errors import InputError

LossFn = Callable[[jax.Array], jax.Array]


def attacked(samples: jax.Array) -> jax.Array:
    """What an attack begins with: float32 in [0, 1].

    Raises:
      InputError: for whole numbers that are no bytes, and for values out of [0, 1], such as the
        features of a table, where they can be looked at.
    """
    found = unit(samples)
    if is_concrete(found) and found.size and not (found.min() >= 0 and found.max() <= 1):
        raise InputError(
            f"an attack moves pixels in [0, 1], got values from {found.min():g} to "
            f"{found.max():g}: scale them"
        )
    return found


def gradient_sign(loss_fn: LossFn, images: jax.Array) -> jax.Array:
    """-1, 0 or 1 at each pixel; 0 where the gradient is NaN, which would spoil the image."""
    gradient = jax.grad(lambda x: jnp.sum(loss_fn(x)))(images)
    return jnp.where(jnp.isnan(gradient), 0, jnp.sign(gradient))
