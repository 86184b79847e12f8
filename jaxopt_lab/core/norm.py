"""The sizes of numbers and of trees of them."""

import jax
import jax.numpy as jnp


def squared(z: jax.Array) -> jax.Array:
    """|z|^2, elementwise and real: second moments are of this, of complex numbers too."""
    return z.real * z.real + z.imag * z.imag if jnp.iscomplexobj(z) else z * z
