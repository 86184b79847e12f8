"""Moving averages of gradients, and their bias."""

import math

import jax
import jax.numpy as jnp
import numpy as np


def moving_average(decay: float | jax.Array, average: jax.Array, new: jax.Array) -> jax.Array:
    """`decay average + (1 - decay) new`, in the average's dtype."""
    return (decay * average + (1 - decay) * new).astype(average.dtype)


def bias_correction(decay: float | jax.Array, steps: jax.typing.ArrayLike) -> jax.Array:
    """`1 - decay^steps`: what a moving average that began at zero has seen of its input.

    Of the decay as float32 has it, as in optax and Keras (0.99900001, which moves the result by
    1e-5), but without the rounding of their power, which is as large again at the first steps.
    """
    if isinstance(decay, int | float):
        rounded = float(np.float32(decay))
        logarithm = math.log(rounded) if rounded > 0 else -math.inf
    else:
        logarithm = jnp.log(jnp.asarray(decay, jnp.float32))
    return -jnp.expm1(jnp.asarray(steps, jnp.float32) * logarithm)


def momentum_at(b1: float | jax.Array, psi: float | jax.Array, t: jax.Array) -> jax.Array:
    """mu_t, which rises from about b1 / 2 to b1 while t passes 1 / psi."""
    return b1 * (1 - 0.5 * jnp.exp(math.log(0.96) * (t * psi)))
