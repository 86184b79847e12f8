"""Exact solves with a damped Fisher, from its matrix or from its per-example gradients."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.linalg import cholesky_solve


def matrix_solve(matrix: jax.Array, b: jax.Array, damping: jax.Array) -> jax.Array:
    """`(A + lambda I)^-1 b`; NaN where that is not positive definite."""
    eye = jnp.eye(len(b), dtype=b.dtype)
    return cholesky_solve(matrix + damping.astype(b.dtype) * eye, b)


@full_precision
def woodbury_solve(rows: jax.Array, b: jax.Array, damping: jax.Array) -> jax.Array:
    """`(J^T J / N + lambda I)^-1 b` for J (N, P), by an N x N solve.

    (1 / lambda) (b - J^T (J J^T + lambda N I)^-1 J b)
    """
    damping = damping.astype(b.dtype)
    inner = matrix_solve(rows @ rows.T, rows @ b, damping * len(rows))
    return (b - rows.T @ inner) / damping


@full_precision
def fisher_solve(rows: jax.Array, b: jax.Array, damping: jax.Array) -> jax.Array:
    """`(J^T J / N + lambda I)^-1 b` for J (N, P), by the smaller of the two matrices."""
    samples, size = rows.shape
    if samples < size:
        return woodbury_solve(rows, b, damping)
    return matrix_solve(rows.T @ rows / samples, b, damping)
