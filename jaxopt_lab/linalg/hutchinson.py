"""Hutchinson's estimators of a diagonal and of a trace."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg.products import Product


@checked
def hutchinson_diag(product: Product, like: Params, key: jax.Array, samples: Count = 1) -> Params:
    """Estimate the diagonal of a matrix of which only products exist.

        diag A = E[z * A z],    z of independent signs (Rademacher)

    Unbiased; exact for a diagonal A. The variance of entry i is the sum of its row's off-diagonal
    squares, divided by the samples.

    Args:
      product: v -> A v.
      like: a pytree of floating arrays, the shapes and dtypes of v.
      key: of the probes z. Under `vmap` each lane needs its own.
      samples: probes to average, one product each.

    Returns:
      A pytree as `like`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Bekas, Kokiopoulou and Saad, 2007, https://doi.org/10.1016/j.apnum.2007.01.003
    """

    def add(total, key):
        z = signs(key, like)
        return jax.tree.map(lambda t, z, az: t + z * az, total, z, product(z)), None

    total, _ = jax.lax.scan(add, optax.tree.zeros_like(like), jax.random.split(key, samples))
    return jax.tree.map(lambda t: t / samples, total)


@checked
@full_precision
def hutchinson_trace(
    product: Product, like: Params, key: jax.Array, samples: Count = 1
) -> jax.Array:
    """Estimate the trace of a matrix of which only products exist.

        tr A = E[z.A z],    z of independent signs (Rademacher)

    Unbiased; the variance is twice the sum of A's squared off-diagonal entries (A symmetric),
    divided by the samples.

    Args:
      product: v -> A v.
      like: a pytree of floating arrays, the shapes and dtypes of v.
      key: of the probes z. Under `vmap` each lane needs its own.
      samples: probes to average, one product each.

    Returns:
      A scalar.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Hutchinson, 1990, https://doi.org/10.1080/03610919008812866
    """

    def of_probe(key):
        z = signs(key, like)
        return jnp.asarray(optax.tree.vdot(z, product(z)))

    return jax.lax.map(of_probe, jax.random.split(key, samples)).mean()


def signs(key: jax.Array, like: Params) -> Params:
    """Independent random signs, a pytree as `like`."""
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, max(len(leaves), 1))
    drawn = [
        jax.random.rademacher(key, leaf.shape, leaf.dtype)
        for key, leaf in zip(keys, leaves, strict=False)
    ]
    return jax.tree.unflatten(structure, drawn)
