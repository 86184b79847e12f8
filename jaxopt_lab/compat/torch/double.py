"""The scalars that PyTorch computes in double precision."""

import math

import jax
import jax.numpy as jnp


def bias_correction(decay: float | jax.Array, steps: jax.typing.ArrayLike) -> jax.Array:
    """`1 - decay^steps`, right to float32's last digits; `1 - 0.999^1` in float32 is off by 1e-5.

    By expm1, with the logarithm in double precision where `decay` is a number.
    """
    if isinstance(decay, int | float):
        logarithm = math.log(decay) if decay > 0 else -math.inf
    else:
        logarithm = jnp.log(jnp.asarray(decay, jnp.float32))
    return -jnp.expm1(jnp.asarray(steps, jnp.float32) * logarithm)
