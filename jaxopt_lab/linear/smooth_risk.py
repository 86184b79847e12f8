"""Regularized risk of smooth losses, by proximal gradients."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.linear.accelerated import Optimum, accelerated, largest_eigenvalue, soft_threshold

# The slope of each loss in its output z, (N, K) for targets t, and a bound on its curvature.
SLOPES: dict[str, tuple[Callable[[jax.Array, jax.Array], jax.Array], float]] = {
    "squared": (lambda z, t: z - t, 1.0),
    "logistic": (lambda z, t: jax.nn.sigmoid(z) - t, 0.25),
    "softmax": (lambda z, t: jax.nn.softmax(z) - t, 0.5),
    "squared_hinge": (lambda z, t: 2 * (1 - 2 * t) * jax.nn.relu(1 + (1 - 2 * t) * z), 2.0),
}


def smooth_risk(
    A: jax.Array,
    t: jax.Array,
    loss: str,
    lasso: jax.Array,
    ridge: jax.Array,
    *,
    count: int,
    intercept: bool,
    **stop: Any,
) -> tuple[jax.Array, jax.Array, Optimum]:
    """`argmin 1/count sum_n l(A_n w + b, t_n) + lasso ||w||_1 + ridge/2 ||w||^2`.

    Args:
      A: (N, d), of columns with mean zero where there is an intercept.
      t: targets, (N, K): numbers, or 1 for a class and 0 for another.
      loss: of `SLOPES`.
      lasso, ridge: scalars >= 0.
      count: samples that the rows of A stand for.
      intercept: with b.
      stop: `tolerance` and `max_iterations`.

    Returns:
      w (d, K), b (K,), and the optimum. Its certificate is the proximal-gradient step in the
      metric in which steps have length 1, over that of the loss alone at w = 0, b = 0; or 0, where
      it is no longer than a unit in the last place of the terms that a gradient sums.
    """
    d, (slope, curvature) = A.shape[1], SLOPES[loss]
    # An unscaled column of ones is orthogonal to the others: it has a step size of its own.
    lengths = jnp.full((d, 1), largest_eigenvalue(A) / count, A.dtype)
    penalized = jnp.ones((d, 1), A.dtype)
    if intercept:
        A = jnp.concatenate([A, jnp.ones((len(A), 1), A.dtype)], axis=1)
        lengths = jnp.concatenate([lengths, jnp.ones((1, 1), A.dtype)])
        penalized = jnp.concatenate([penalized, jnp.zeros((1, 1), A.dtype)])
    # A matrix of zeros has no curvature, nor a gradient.
    steps = 1 / (curvature * jnp.where(lengths > 0, lengths, 1))

    def gradient(theta):
        return (slope(A @ theta, t).T @ A).T / count  # A^T r, 10 times faster on CPU

    def prox(theta):
        shrunk = soft_threshold(theta, steps * lasso * penalized)
        return shrunk / (1 + steps * ridge * penalized)

    def size(step):
        return jnp.sqrt((step**2 / steps).sum())

    start = jnp.zeros((A.shape[1], t.shape[1]), A.dtype)
    scale = size(steps * gradient(start))
    scale = jnp.where(scale > 0, scale, 1)
    terms = (jnp.abs(slope(A @ start, t)).T @ jnp.abs(A)).T / count
    rounding = jnp.finfo(A.dtype).eps * size(steps * terms)

    def certificate(theta):
        step = size(theta - prox(theta - steps * gradient(theta)))
        return jnp.where(step <= rounding, 0, step) / scale

    optimum = accelerated(gradient, prox, steps, certificate, start, **stop)
    w = optimum.x[:d]
    b = optimum.x[d] if intercept else jnp.zeros(t.shape[1], A.dtype)
    return w, b, optimum
