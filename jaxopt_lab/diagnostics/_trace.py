"""A trace with its error."""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.ranges import Range, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics.ritz import widened
from jaxopt_lab.linalg import Product, hutchinson_trace


class Trace(NamedTuple):
    """The estimate and its standard error, scalars."""

    estimate: jax.Array
    error: jax.Array


@checked
def trace(
    product: Product, like: Params, key: jax.Array, samples: Annotated[int, Range(2)] = 100
) -> Trace:
    """The trace of a matrix of which only products exist, with its standard error.

        t_i = z_i . A z_i,    estimate = mean t_i,    error = std t_i / sqrt(samples)

    Use it for the mean curvature, tr H / P. Exact, with an error of 0, for a diagonal A. All
    arithmetic is in float32 or wider, and matrix products at full precision ("highest").

    Args:
      product: `v -> A v`, such as `mean_hessian`.
      like: a pytree of floating arrays, the shapes and dtypes of v.
      key: of the probes z, independent random signs.
      samples: probes, >= 2, one product each.

    Returns:
      `Trace(estimate, error)`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: where `like` holds no floating numbers.

    Reference: Hutchinson, 1990, https://doi.org/10.1080/03610919008812866
    """
    product, like = widened("trace", product, like)
    each = jax.lax.map(
        lambda key: hutchinson_trace(product, like, key), jax.random.split(key, samples)
    )
    return Trace(each.mean(), each.std(ddof=1) / jnp.sqrt(jnp.asarray(samples, each.dtype)))
