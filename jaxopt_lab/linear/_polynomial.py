"""Polynomial features."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Depth, checked

MOST_MONOMIALS = 1_000_000


@checked
def polynomial(X: jax.Array, *, degree: Depth) -> jax.Array:
    """All monomials of the features up to a degree: a linear model of them is a polynomial.

    For few features; there are (d + p)! / (d! p!) - 1 monomials of degree up to p. Scale the
    features to about [-1, 1] first.

        phi(x) = (x_i x_j ...)    for every choice of 1 to p features, repeated ones included

    Args:
      X: (N, d), any float dtype.
      degree: p >= 1, static.

    Returns:
      (N, D), in X's dtype: degree 1 first, then 2, each in lexicographic order. There is no
      constant, which is the solvers' intercept.

    Raises:
      ArgumentError: for a degree out of its range.
      InputError: where X is not 2-D, or there would be more than a million monomials.

    Differs from: nothing in scikit-learn's `PolynomialFeatures(include_bias=False)`.

    Reference: Hastie, Tibshirani and Friedman, 2009, section 5.1,
    https://doi.org/10.1007/978-0-387-84858-7.
    """
    X = jnp.asarray(X)
    if X.ndim != 2:
        raise InputError(f"polynomial: X has shape {X.shape}, expected (N, d)")
    count = math.comb(X.shape[1] + degree, degree) - 1
    if count > MOST_MONOMIALS:
        raise InputError(
            f"polynomial: degree {degree:,} of {X.shape[1]:,} features makes {count:,} monomials, "
            f"more than {MOST_MONOMIALS:,}; lower the degree"
        )
    monomials = [X]
    for p in range(2, degree + 1):
        chosen = itertools.combinations_with_replacement(range(X.shape[1]), p)
        indices = np.array(list(chosen), int).reshape(-1, p)
        monomials.append(X[:, indices].prod(-1))
    return jnp.concatenate(monomials, axis=1)
