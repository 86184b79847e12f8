"""Rosenbrock's curved valley."""

import jax.numpy as jnp

from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.problems.problem import Problem


@checked
def rosenbrock(steepness: Positive = 100.0) -> Problem:
    """A curved, narrow valley: easy to enter, slow to follow.

        f(x, y) = (1 - x)^2 + b (y - x^2)^2,    start (-1.2, 1)

    Args:
      steepness: b, how steep the valley's walls are.

    Returns:
      A `Problem`, float32, minimum 0 at (1, 1).

    Reference: Rosenbrock, 1960, https://doi.org/10.1093/comjnl/3.3.175
    """
    return Problem(
        loss=lambda x: (1 - x[0]) ** 2 + steepness * (x[1] - x[0] ** 2) ** 2,
        residuals=lambda x: jnp.stack([1 - x[0], jnp.sqrt(steepness) * (x[1] - x[0] ** 2)]),
        start=jnp.array([-1.2, 1.0]),
        minimizer=jnp.array([1.0, 1.0]),
    )
