"""Tikhonov regularization."""

import functools

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import checked
from jaxopt_lab.linear.centered import as_it_is, centered
from jaxopt_lab.linear.least_squares import Method, least_squares
from jaxopt_lab.linear.model import LinearModel
from jaxopt_lab.linear.prepare import check_data, uncentered


@declare(in_files=False)
@checked
def tikhonov(
    X: jax.Array,
    y: jax.Array,
    gamma: jax.Array,
    *,
    intercept: bool = True,
    method: Method = "auto",
) -> LinearModel:
    """Linear regression with a quadratic penalty of any shape, in closed form.

    For what is known of the coefficients beforehand: differences of neighbors penalized (a smooth
    w), features in different units, some not penalized at all. Gamma = sqrt(lambda) I is `ridge`.

        minimize ||y - X w - b||^2 + ||Gamma w||^2

    It is the least squares problem of X with Gamma's rows below, and y with zeros, solved as by
    `ridge`: Gamma^T Gamma is not formed unless Cholesky's factor can be trusted.

    Args:
      X: features, (N, d), real; computed in their dtype, in float32 where that is narrower.
      y: labels, (N,) or (N, T).
      gamma: Gamma, (q, d) with any q; an array, which may be traced.
      intercept: static; with b, which is not penalized.
      method: static; "auto", "cholesky" (NaN where singular) or "svd".

    Returns:
      A `LinearModel`, of minimum ||w|| where several are optimal. NaN where traced data hold NaN
      or infinity.

    Raises:
      ArgumentError: for an unknown method.
      InputError: where shapes do not fit, or concrete data hold NaN or infinity.

    Reference: Tikhonov, 1963; Hansen, 1998, https://doi.org/10.1137/1.9780898719697.
    """
    X, y = check_data("tikhonov", X, y)
    gamma = jnp.asarray(gamma, X.dtype)
    if gamma.ndim != 2 or gamma.shape[1] != X.shape[1]:
        raise InputError(
            f"tikhonov: gamma has shape {gamma.shape}, expected (q, {X.shape[1]}): "
            "a column for each feature"
        )
    return _solve(X, y, gamma, intercept, method)


@functools.partial(jax.jit, static_argnames=("intercept", "method"))
@full_precision
def _solve(X, y, gamma, intercept, method):
    A, t = (centered(x, intercept) for x in (X, y.reshape(len(y), -1).astype(X.dtype)))
    rows = as_it_is(jnp.concatenate([A.whole(), gamma]))
    targets = jnp.pad(t.whole(), ((0, len(gamma)), (0, 0)))
    w = least_squares(rows, targets, jnp.zeros([], X.dtype), method)
    return uncentered(w, A.whole_mean, t.whole_mean, jnp.shape(y)[1:])
