"""The Lanczos tridiagonalization."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxopt_lab.core.norm import largest, norm, power_of_two
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg.products import Product


class LanczosResult(NamedTuple):
    """T's diagonal (k,) and off-diagonal (k - 1,); the k basis vectors, stacked in each leaf."""

    diagonal: jax.Array
    off_diagonal: jax.Array
    basis: Params


@checked
@full_precision
def lanczos(product: Product, v0: Params, k: Count, key: jax.Array | None = None) -> LanczosResult:
    """Tridiagonalize a symmetric matrix of which only products exist: A Q = Q T on k vectors.

    T's eigenvalues approach those of A, the extreme ones first; with the squared first components
    of its eigenvectors as weights they are A's spectral density as `v0` sees it.

        alpha_j = q_j.A q_j,    r = A q_j - alpha_j q_j - beta_{j-1} q_{j-1},
        beta_j = |r|,    q_{j+1} = r / beta_j

    Each r is made orthogonal to all vectors before, twice: without that they lose it within a few
    steps in floating point, and eigenvalues come out several times. Where the vectors span all that
    A makes of v0, beta is 0. Without a key all after it are zeros; with one a random vector goes
    on, orthogonal to all before, and zeros come after the last dimension only. Such a restart finds
    what v0 cannot: the further copies of an eigenvalue that repeats.

    Args:
      product: v -> A v.
      v0: where to start, not zero; a pytree of floating arrays, or of complex ones for a Hermitian
        A.
      k: how many vectors; each takes the memory of `v0`.
      key: of the random vectors; None to end at the first beta of 0.

    Returns:
      `LanczosResult(diagonal, off_diagonal, basis)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Golub and Van Loan, Matrix Computations, 4th edition, section 10.1 and 10.3.
    """
    flat, unravel = ravel_pytree(v0)
    small = jnp.finfo(flat.dtype).eps

    def length(r):
        # Of a power of two nothing is rounded, and no square leaves the range of floats.
        scale = power_of_two(largest(r))
        return scale * jnp.linalg.norm(r / scale)

    def against(basis, r):
        for _ in range(2):
            r = r - basis.T @ (basis.conj() @ r)
        return r

    def unit(r, least):
        """r / |r| and |r|; zeros where |r| is no more than cancellation leaves of `least`."""
        size = length(r)
        size = jnp.where(size > 10 * small * least, size, 0)
        return jnp.where(size > 0, r / jnp.where(size > 0, size, 1), 0), size

    def drawn(basis, j):
        r = jax.random.normal(jax.random.fold_in(key, j), flat.shape, flat.dtype)
        return unit(against(basis, r), length(r))[0]

    def body(carry, j):
        basis, q = carry
        basis = basis.at[j].set(q)
        r, _ = ravel_pytree(product(unravel(q)))
        alpha, size = jnp.vdot(q, r).real, length(r)
        q, beta = unit(against(basis, r), size)
        if key is not None:
            q = jax.lax.cond(beta > 0, lambda basis, j: q, drawn, basis, j)
        return (basis, q), (alpha, beta)

    first = norm(flat)
    q = first.inverse * flat / jnp.where(first.size > 0, first.size, 1)
    start = (jnp.zeros((k, flat.size), flat.dtype), q)
    (basis, _), (alpha, beta) = jax.lax.scan(body, start, jnp.arange(k))
    return LanczosResult(alpha, beta[:-1], jax.vmap(unravel)(basis))
