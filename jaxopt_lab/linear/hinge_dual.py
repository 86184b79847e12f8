"""Regularized risk of the hinge loss, by its dual."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.linear.accelerated import (
    Optimum,
    accelerated,
    largest_eigenvalue,
    proximal,
    soft_threshold,
)
from jaxopt_lab.linear.centered import Centered


def hinge_dual(
    A: Centered,
    t: jax.Array,
    lasso: jax.Array,
    ridge: jax.Array,
    *,
    intercept: bool,
    **stop: Any,
) -> tuple[jax.Array, jax.Array, Optimum]:
    """`argmin 1/N sum_n max(0, 1 - s_n (A_n w + b)) + lasso ||w||_1 + ridge/2 ||w||^2`.

    The hinge has no gradient at its corner; its dual is smooth and has a box for a constraint:

        maximize 1/N sum_n a_n - ridge/2 ||w(a)||^2,    0 <= a_n <= 1,    sum_n s_n a_n = 0 with b
        w(a) = S(1/N sum_n a_n s_n A_n, lasso) / ridge,    S soft thresholding

    Args:
      A: (N, d), of columns with mean zero where there is an intercept.
      t: (N, 1), 1 for one class and 0 for the other: s = 2 t - 1.
      lasso: a scalar >= 0.
      ridge: a scalar > 0.
      intercept: with b.
      stop: `tolerance` and `max_iterations`.

    Returns:
      w (d, 1), b (1,), and the optimum, whose certificate is the duality gap: the risk, which is
      at most 1 at the optimum, is no further from it.

    Reference: Shalev-Shwartz and Zhang, 2013, https://www.jmlr.org/papers/v14/shalev-shwartz13a.html.
    """
    s = 2 * t[:, 0] - 1
    rows, length = A.whole(), largest_eigenvalue(A)
    n = len(rows)
    length /= n * ridge
    step = 1 / jnp.where(length > 0, length, 1)

    def primal(a):
        return soft_threshold((s * a) @ rows / n, lasso) / ridge

    def gradient(a):
        return s * (rows @ primal(a)) - 1

    def project(a):
        return box_and_balance(a, s) if intercept else a.clip(0, 1)

    def gap(a):
        w = primal(a)
        scores = rows @ w
        b = best_intercept(scores, s) if intercept else 0
        risk = jax.nn.relu(1 - s * (scores + b)).mean() + lasso * jnp.abs(w).sum()
        return risk + ridge * (w**2).sum() - a.mean()

    start = jnp.zeros(n, rows.dtype)
    optimum = accelerated(proximal(gradient, project, step), gap, start, **stop)
    w = primal(optimum.x)
    b = best_intercept(rows @ w, s) if intercept else jnp.zeros([], w.dtype)
    return w[:, None], b[None], optimum


def best_intercept(scores: jax.Array, s: jax.Array) -> jax.Array:
    """`argmin_b sum_n max(0, 1 - s_n (scores_n + b))`.

    Its slope goes from minus the count of s = 1 up by 1 at each corner `s_n - scores_n`.
    """
    corners = jnp.sort(s - scores)
    positive = (s > 0).sum()
    return (corners[positive - 1] + corners[jnp.minimum(positive, len(s) - 1)]) / 2


def box_and_balance(v: jax.Array, s: jax.Array) -> jax.Array:
    """The point nearest to v with `0 <= a <= 1` and `sum s a = 0`.

    It is `clip(v - nu s, 0, 1)`; the sum falls with nu, which bisection finds.
    """

    def halve(_, bounds):
        low, high = bounds
        nu = (low + high) / 2
        above = (s * (v - nu * s).clip(0, 1)).sum() > 0
        return jnp.where(above, nu, low), jnp.where(above, high, nu)

    reach = jnp.abs(v).max() + 1
    low, high = lax.fori_loop(0, jnp.finfo(v.dtype).nmant + 8, halve, (-reach, reach))
    return (v - (low + high) / 2 * s).clip(0, 1)
