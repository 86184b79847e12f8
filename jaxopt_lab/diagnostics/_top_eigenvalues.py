"""The eigenvalues that are largest in magnitude, and both ends of the spectrum."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.norm import norm
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics.ritz import ritz, widened
from jaxopt_lab.linalg import Product, lanczos


class TopEigenvalues(NamedTuple):
    """Eigenpairs by falling |value|, how far each is from one, and the spectrum's two ends.

    `values` (k,); `vectors`, a pytree of leaves (k, ...), of length 1; `residuals` (k,),
    |A v - value v|: an eigenvalue of A is within that of `value`. `least` and `greatest`, scalars,
    are the algebraic extremes; they are approached from inside the spectrum.
    """

    values: jax.Array
    vectors: Params
    residuals: jax.Array
    least: jax.Array
    greatest: jax.Array


@checked
@full_precision
def top_eigenvalues(
    product: Product, like: Params, key: jax.Array, k: Count = 5, *, iterations: Count = 55
) -> TopEigenvalues:
    """The k eigenvalues that are largest in magnitude, of which any may be negative, by Lanczos.

        A Q = Q T,    T y = l y,    v = Q y,    residual = |A v - l v|

    Use it for the sharpness of a minimum (`greatest`) and for whether it is one (`least`). Look at
    the residuals: an interior eigenvalue that has not converged shows there. Takes `iterations + k`
    products, 60 by default, and the memory of `iterations` vectors.

    Of an eigenvalue that repeats, one copy is certain. The others come where `iterations` reach the
    dimension, or exhaust what the matrix makes of one vector: all of the zero matrix's or of one
    with two different eigenvalues. There a random vector goes on, orthogonal to all before.

    All arithmetic is in float32 or wider. Matrix products are at full precision ("highest"),
    because a TPU's default of bfloat16 loses the vectors' orthogonality.

    Args:
      product: `v -> A v`, symmetric, such as `mean_hessian`.
      like: a pytree of floating arrays, the shapes and dtypes of v; P numbers in all.
      key: of the random start.
      k: how many; no more than P are given.
      iterations: of Lanczos, >= k; may exceed P.

    Returns:
      `TopEigenvalues(values, vectors, residuals, least, greatest)`, of min(k, P) eigenpairs; NaN
      where a product is.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: where `like` holds no floating numbers.

    Reference: Lanczos, 1950, https://doi.org/10.6028/jres.045.026; Golub and Van Loan, Matrix
      Computations, 4th edition, sections 10.1 and 10.3

    Differs from: power iteration with deflation (PyHessian), which takes many more products where
      eigenvalues are near one another in magnitude, of either sign.
    """
    if iterations < k:
        text = f"must be at least k, here {k}, got {iterations}; give {k} or more"
        raise ArgumentError("top_eigenvalues", {"iterations": text})
    product, like = widened("top_eigenvalues", product, like)
    start_key, restart_key = jax.random.split(key)
    k = min(k, sum(leaf.size for leaf in jax.tree.leaves(like)))
    start = optax.tree.random_like(start_key, like)
    found = lanczos(product, start, iterations, restart_key)
    values, vectors, least, greatest = _chosen(found, k)

    def residual(pair):
        value, v = pair
        length = norm(jax.tree.map(lambda a, b: a - value * b, product(v), v))
        return length.size / length.inverse

    residuals = jax.lax.map(residual, (values, vectors))
    return TopEigenvalues(values, vectors, residuals, least, greatest)


@partial(jax.jit, static_argnums=1)
def _chosen(found, k):
    """The k eigenvalues that are largest in magnitude, their vectors, and both ends."""
    values, y, real = ritz(found)
    top = jnp.argsort(jnp.where(real, -jnp.abs(values), jnp.inf))[:k]
    vectors = jax.tree.map(lambda q: jnp.tensordot(y.T[top], q, 1), found.basis)
    return values[top], vectors, values[0], values[real.sum() - 1]
