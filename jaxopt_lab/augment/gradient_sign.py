"""The direction of steepest ascent of a loss in the largest change of any pixel."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

LossFn = Callable[[jax.Array], jax.Array]


def gradient_sign(loss_fn: LossFn, images: jax.Array) -> jax.Array:
    """-1, 0 or 1 at each pixel; 0 where the gradient is NaN, which would spoil the image."""
    gradient = jax.grad(lambda x: jnp.sum(loss_fn(x)))(images)
    return jnp.where(jnp.isnan(gradient), 0, jnp.sign(gradient))
