"""Solves with a positive definite matrix."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap
from jax.scipy.linalg import cho_solve


def cholesky_solve(matrix: jax.Array, b: jax.Array) -> jax.Array:
    """`A^-1 b` by Cholesky; NaN where A is not positive definite.

    Under `vmap` on a CPU the solves go one after another, which costs nothing there. XLA's batched
    triangular solve divides its batch over the very threads that wait for it: several at once, as
    of the layers of a network inside a loop, wait for ever (seen with jax 0.10.2).

    Args:
      matrix: A, (n, n), symmetric.
      b: (n,) or (n, k).

    Returns:
      As `b`.

    Reference: Golub and Van Loan, Matrix Computations, 2013, section 4.2.
    """
    return lax.platform_dependent(matrix, b, cpu=sequential_vmap(_solve), default=_solve)


def _solve(matrix: jax.Array, b: jax.Array) -> jax.Array:
    return cho_solve((jnp.linalg.cholesky(matrix), True), b)
