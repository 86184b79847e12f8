"""Ordinary least squares."""

import jax

from jaxopt_lab.core.ranges import checked
from jaxopt_lab.linear._ridge import solve
from jaxopt_lab.linear.least_squares import Method
from jaxopt_lab.linear.model import LinearModel


@checked
def ols(
    X: jax.Array, y: jax.Array, *, intercept: bool = True, method: Method = "auto"
) -> LinearModel:
    """Ordinary least squares: linear regression without a penalty.

    The first thing to try, and the best linear unbiased estimate where samples outnumber features.

        minimize ||y - X w - b||^2,    of minimum ||w|| where several do

    It is `ridge` at lambda = 0, with that function's precision.

    Args:
      X: features, (N, d), real; computed in their dtype, in float32 where that is narrower.
      y: labels, (N,) or (N, T).
      intercept: static; with b.
      method: static; "auto", "cholesky" (NaN or noise where features are dependent) or "svd".

    Returns:
      A `LinearModel`. NaN where traced data hold NaN or infinity.

    Raises:
      ArgumentError: for an unknown method.
      InputError: where shapes do not fit, or concrete data hold NaN or infinity.

    Reference: Golub, 1965, https://doi.org/10.1007/BF01436075.
    """
    return solve("ols", X, y, 0.0, intercept, method)
