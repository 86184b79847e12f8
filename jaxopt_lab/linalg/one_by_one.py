"""Factorizations by LAPACK, which on a CPU take one matrix at a time."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap
from jax.scipy import linalg


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of single matrices, whose `vmap` on a CPU is a loop over them.

    LAPACK's kernels of jaxlib, and XLA's triangular solve, divide a batch over the very threads
    that wait for it: as many of them at once as there are threads, such as those of a network's
    layers or of two branches on two cores, wait for ever (seen with jax 0.10.2, on each of eigh,
    qr, svd, cholesky, solve and inv). One matrix at a time waits for nobody. A derivative is that
    of `function` as it is.
    """
    sequential = sequential_vmap(function)

    @functools.wraps(function)
    def apply(*arrays):
        return lax.platform_dependent(*arrays, cpu=sequential, default=function)

    differentiable = jax.custom_jvp(apply)
    differentiable.defjvp(functools.partial(jax.jvp, function))
    return differentiable


@one_by_one
def eigh(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues, ascending (n,), and eigenvectors as columns, of a symmetric (n, n)."""
    values, vectors = jnp.linalg.eigh(matrix)
    return values, vectors


@one_by_one
def eigvalsh(matrix: jax.Array) -> jax.Array:
    """Eigenvalues, ascending (n,), of a symmetric (n, n)."""
    return jnp.linalg.eigvalsh(matrix)


@one_by_one
def qr(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Q (m, k) and R (k, n) of an (m, n), with k the smaller of the two."""
    q, r = jnp.linalg.qr(matrix)
    return q, r


@one_by_one
def triangle(matrix: jax.Array) -> jax.Array:
    """R of `qr` alone."""
    return jnp.linalg.qr(matrix, mode="r")


@one_by_one
def svd(matrix: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """U (m, k), the singular values (k,) and V^T (k, n) of an (m, n), with k the smaller."""
    u, s, vt = jnp.linalg.svd(matrix, full_matrices=False)
    return u, s, vt


@one_by_one
def cholesky(matrix: jax.Array) -> jax.Array:
    """The lower factor of a positive definite (n, n); NaN where it is not."""
    return jnp.linalg.cholesky(matrix)


@one_by_one
def cho_solve(factor: jax.Array, b: jax.Array) -> jax.Array:
    """`A^-1 b` by the factor that `cholesky` gives of A; b (n,) or (n, k)."""
    return linalg.cho_solve((factor, True), b)
