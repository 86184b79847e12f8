"""Solves with a positive definite matrix."""

import jax

from jaxopt_lab.linalg.one_by_one import cho_solve, cholesky


def cholesky_solve(matrix: jax.Array, b: jax.Array) -> jax.Array:
    """`A^-1 b` by Cholesky; NaN where A is not positive definite.

    Under `vmap` on a CPU the solves go one after another, which costs nothing there.

    Args:
      matrix: A, (n, n), symmetric.
      b: (n,) or (n, k).

    Returns:
      As `b`.

    Reference: Golub and Van Loan, Matrix Computations, 2013, section 4.2.
    """
    return cho_solve(cholesky(matrix), b)
