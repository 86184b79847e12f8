"""Least squares with a ridge, by a factorization that fits the shape and the conditioning."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.linalg.one_by_one import cho_solve, cholesky, svd, triangle
from jaxopt_lab.linear.centered import Centered

Method = Literal["auto", "cholesky", "svd"]

# Each refinement squares the relative error. So a factorization of any use needs few of them.
MOST_REFINEMENTS = 3


def least_squares(A: Centered, t: jax.Array, lam: jax.Array, method: Method) -> jax.Array:
    """`argmin ||t - A w||^2 + lam ||w||^2`, of the smallest norm where there are several.

    Args:
      A: (N, d).
      t: (N, T).
      lam: a scalar >= 0.
      method: "auto" is Cholesky's where that can be trusted, the SVD's elsewhere.

    Returns:
      (d, T).
    """
    if method == "svd":
        return filtered(*decompose(A.whole(), t), lam)
    w, trusted = by_cholesky(A, t, lam)
    if method == "cholesky":
        return w
    return lax.cond(trusted, lambda: w, lambda: filtered(*decompose(A.whole(), t), lam))


def by_cholesky(A: Centered, t: jax.Array, lam: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The solution by the smaller of both systems, and whether it is good to working precision.

        tall   (A^T A + lam I) w = A^T t
        wide   (A A^T + lam I) a = t,    w = A^T a

    Refined with residuals of A itself, it is as good as by QR as long as the factor is of any use.
    """
    n, d = A.X.shape
    if n >= d:
        gram, right, back = A.gram(), A.pull(t), lambda x: x

        def residual(x):
            return A.summed(lambda rows, t: ((t - rows @ x).T @ rows).T, t) - lam * x

    else:
        whole, back = A.whole(), A.pull
        gram, right = whole @ whole.T, t

        def residual(x):
            return t - whole @ back(x) - lam * x

    system = gram + lam * jnp.eye(len(gram), dtype=gram.dtype)
    factor = cholesky(system)

    def still_changing(carry):
        _, change, size, step = carry
        return jnp.any(change > size) & (step < MOST_REFINEMENTS)

    def refine(carry):
        x, _, _, step = carry
        dx = cho_solve(factor, residual(x))
        # The next change is about the square of this one, relative to x.
        return x + dx, (dx**2).sum(0), eps * (x**2).sum(0), step + 1

    eps = jnp.finfo(t.dtype).eps
    start = cho_solve(factor, right)
    none, all_ = jnp.zeros(t.shape[1], t.dtype), jnp.full(t.shape[1], jnp.inf, t.dtype)
    x, change, size, _ = lax.while_loop(still_changing, refine, (start, all_, none, 0))

    # A pivot is the share of its column that those before leave unexplained; rounding of the
    # Gram matrix makes noise of a small one. Not affected by the features' units.
    pivots = jnp.diagonal(factor) ** 2
    least = 10 * eps * max(len(gram), n**0.5)
    trusted = jnp.all(pivots > least * jnp.diagonal(system)) & jnp.all(change <= size)
    return back(x), trusted


def reduced(A: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Fewer rows with the same least squares problem, where A is tall: `R` and `Q^T t`.

    Both are the factor R of `[A t]`, so that Q is never formed, nor a condition number squared.
    """
    n, d = A.shape
    if n < d + t.shape[1] or t.shape[1] > d:
        return A, t
    R = triangle(jnp.concatenate([A, t], axis=1))
    return R[:d, :d], R[:d, d:]


def decompose(A: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`U^T t`, the singular values and `V^T` of `A = U S V^T`."""
    A, t = reduced(A, t)
    u, s, vt = svd(A)
    return u.T @ t, s, vt


def filtered(ut: jax.Array, s: jax.Array, vt: jax.Array, lam: Any) -> jax.Array:
    """`V diag(s / (s^2 + lam)) U^T t`, without the singular values that are rounding."""
    kept = s > jnp.finfo(s.dtype).eps * vt.shape[1] * s[0]
    s = jnp.where(kept, s, 1)
    factors = jnp.where(kept, 1 / (s + lam / s), 0)
    return vt.T @ (factors[:, None] * ut)
