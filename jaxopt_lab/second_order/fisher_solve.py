"""Exact solves with a damped Fisher, from its matrix or from its per-example gradients."""

import functools

import jax
import jax.numpy as jnp

from jaxopt_lab.linalg import cholesky_solve

# An accelerator's fast products leave too few digits for a solve.
precise = functools.partial(jnp.matmul, precision="highest")


def matrix_solve(matrix: jax.Array, b: jax.Array, damping: jax.Array) -> jax.Array:
    """`(A + lambda I)^-1 b`; NaN where that is not positive definite."""
    eye = jnp.eye(len(b), dtype=b.dtype)
    return cholesky_solve(matrix + damping.astype(b.dtype) * eye, b)


def woodbury_solve(rows: jax.Array, b: jax.Array, damping: jax.Array) -> jax.Array:
    """`(J^T J / N + lambda I)^-1 b` for J (N, P), by an N x N solve.

    (1 / lambda) (b - J^T (J J^T + lambda N I)^-1 J b)
    """
    damping = damping.astype(b.dtype)
    inner = matrix_solve(precise(rows, rows.T), precise(rows, b), damping * len(rows))
    return (b - precise(rows.T, inner)) / damping


def fisher_solve(rows: jax.Array, b: jax.Array, damping: jax.Array) -> jax.Array:
    """`(J^T J / N + lambda I)^-1 b` for J (N, P), by the smaller of the two matrices."""
    samples, size = rows.shape
    if samples < size:
        return woodbury_solve(rows, b, damping)
    return matrix_solve(precise(rows.T, rows) / samples, b, damping)
