"""What an analytic objective is."""

from collections.abc import Callable
from typing import NamedTuple

import jax


class Problem(NamedTuple):
    """An objective `loss(x) -> scalar` on R^n, with where to start and where its minimum is.

    It is a sum of squares, of `residuals(x)`: as the squared error of outputs it has a
    Gauss-Newton matrix, which is its Hessian where the residuals are linear.
    """

    loss: Callable[[jax.Array], jax.Array]
    residuals: Callable[[jax.Array], jax.Array]
    start: jax.Array
    minimizer: jax.Array
