"""Powers to exponents as large as a step count."""

import math
from numbers import Real

import jax
import jax.numpy as jnp


def power(base: jax.typing.ArrayLike, exponent: jax.Array) -> jax.Array:
    """`base ** exponent` for base > 0.

    The logarithm of a Python number is taken in double precision: float32 knows 0.99994 to 2e-8,
    which after 100,000 steps would be an error of 0.2%.
    """
    logarithm = math.log(base) if isinstance(base, Real) else jnp.log(jnp.asarray(base, float))
    return jnp.exp(jnp.asarray(exponent, float) * logarithm)
