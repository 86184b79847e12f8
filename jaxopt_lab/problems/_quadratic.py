"""An ill-conditioned quadratic."""

import jax.numpy as jnp

from jaxopt_lab.core.ranges import Count, Positive, checked
from jaxopt_lab.problems._problem import Problem


@checked
def quadratic(n: Count = 2, condition: Positive = 10.0) -> Problem:
    """A convex quadratic with eigenvalues from 1/condition to 1, evenly spaced in the logarithm.

        f(x) = 1/2 (x - 1)^T diag(h) (x - 1),    x_0 = 0

    Args:
      n: number of variables.
      condition: ratio of the largest to the smallest eigenvalue, >= 1 in any useful case.

    Returns:
      A `Problem`, float32, minimum 0 at x = 1.

    Reference: Nocedal and Wright, Numerical Optimization, 2006, section 3.3.
    """
    eigenvalues = condition ** -jnp.linspace(0.0, 1.0, n)
    return Problem(
        loss=lambda x: 0.5 * jnp.sum(eigenvalues * (x - 1) ** 2),
        start=jnp.zeros(n),
        minimizer=jnp.ones(n),
    )
