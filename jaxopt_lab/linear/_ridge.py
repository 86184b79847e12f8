"""Ridge regression."""

import functools

import jax
import jax.numpy as jnp

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import NonNegative, checked
from jaxopt_lab.linear._ridge_path import ridge_path
from jaxopt_lab.linear.centered import centered
from jaxopt_lab.linear.least_squares import Method, least_squares
from jaxopt_lab.linear.model import LinearModel
from jaxopt_lab.linear.prepare import check_data, check_strength, uncentered


@declare(path=ridge_path)
@checked
def ridge(
    X: jax.Array, y: jax.Array, lam: NonNegative, *, intercept: bool = True, method: Method = "auto"
) -> LinearModel:
    """Linear regression with an L2 penalty, in closed form.

    Regression when features are many or correlated. `ridge_path` is cheaper for many lambdas.

        minimize ||y - X w - b||^2 + lambda ||w||^2

    Solved by the Cholesky factor of X^T X + lambda I where X is tall, of X X^T + lambda I where it
    is wide, with iterative refinement; where that is too ill-conditioned, or singular, by the SVD,
    singular values below d eps of the largest being zero. So lambda = 0 and dependent features are
    well defined: the solution of minimum norm. The relative error was below 2 cond(X) eps for
    condition numbers up to 1e5 in float32, whose eps is 1.2e-7; standardize features of very
    different units, which the SVD minds and Cholesky does not.

    Args:
      X: features, (N, d), real; computed in their dtype, in float32 where that is narrower.
      y: labels, (N,) or (N, T).
      lam: lambda >= 0, in the units of X squared; a number or a traced array.
      intercept: static; with b, which is not penalized.
      method: static; "auto", or "cholesky" (NaN where singular) or "svd" alone. Under `jax.vmap`
        over X or lam "auto" computes both.

    Returns:
      A `LinearModel`. NaN where traced data hold NaN or infinity or a traced lambda is negative,
      and where a sum overflows, as over float32 labels of 1e38: scale such data.

    Raises:
      ArgumentError: for lambda out of its range or an unknown method.
      InputError: where shapes do not fit, or concrete data hold NaN or infinity.

    Differs from: nothing in scikit-learn's `Ridge`, whose `alpha` is lambda.

    Reference: Hoerl and Kennard, 1970, https://doi.org/10.1080/00401706.1970.10488634; refinement
    with residuals of X: Björck, 1987, https://doi.org/10.1016/0024-3795(87)90101-7.
    """
    return solve("ridge", X, y, lam, intercept, method)


def solve(
    name: str, X: jax.Array, y: jax.Array, lam: jax.Array | float, intercept: bool, method: Method
) -> LinearModel:
    """`ridge`, whose errors name the function that was called."""
    X, y = check_data(name, X, y)
    return _solve(X, y, check_strength(name, lam, X.dtype), intercept, method)


@functools.partial(jax.jit, static_argnames=("intercept", "method"))
@full_precision
def _solve(X, y, lam, intercept, method):
    A, t = (centered(x, intercept) for x in (X, y.reshape(len(y), -1).astype(X.dtype)))
    w = least_squares(A, t.whole(), lam, method)
    return uncentered(w, A.whole_mean, t.whole_mean, jnp.shape(y)[1:])
