"""An ill-conditioned quadratic."""

from typing import Annotated

import jax.numpy as jnp

from jaxopt_lab.core.ranges import Count, Positive, Range, checked
from jaxopt_lab.problems.problem import Problem

Angle = Annotated[float, Range(-180, 180)]


@checked
def quadratic(n: Count = 2, condition: Positive = 10.0, angle: Angle = 0.0) -> Problem:
    """A convex quadratic with eigenvalues from 1/condition to 1, evenly spaced in the logarithm.

        f(x) = 1/2 (x - 1)^T R^T diag(h) R (x - 1),    x_0 = 0

    Args:
      n: number of variables.
      condition: ratio of the largest to the smallest eigenvalue, >= 1 in any useful case.
      angle: degrees by which R turns each variable towards the next; at 0 the axes of the ellipses
        are those of the variables, and a rate for each variable is all that a method needs.

    Returns:
      A `Problem`, float32, minimum 0 at x = 1.

    Reference: Nocedal and Wright, Numerical Optimization, 2006, section 3.3.
    """
    eigenvalues = condition ** -jnp.linspace(0.0, 1.0, n)
    cos, sin = jnp.cos(jnp.deg2rad(angle)), jnp.sin(jnp.deg2rad(angle))
    rotation = jnp.eye(n)
    for i in range(n - 1):
        first, second = rotation[i], rotation[i + 1]
        rotation = rotation.at[i].set(cos * first + sin * second)
        rotation = rotation.at[i + 1].set(cos * second - sin * first)

    def turned(x):
        return jnp.matmul(rotation, x - 1, precision="highest")

    return Problem(
        loss=lambda x: 0.5 * jnp.sum(eigenvalues * turned(x) ** 2),
        residuals=lambda x: jnp.sqrt(eigenvalues / 2) * turned(x),
        start=jnp.zeros(n),
        minimizer=jnp.ones(n),
    )
