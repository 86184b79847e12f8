"""Damping: what is added to the diagonal before a matrix is inverted."""

import math
from typing import Annotated

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.ranges import Range
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.linalg import Product
from jaxopt_lab.second_order.curvature import Curvature

Damping = Annotated[ScalarOrSchedule, Range(0, math.inf, low_open=True, high_open=True)]


def damped(product: Product, damping: jax.Array) -> Product:
    """`v -> A v + lambda v`."""
    return lambda v: jax.tree.map(lambda a, v: a + (damping * v).astype(a.dtype), product(v), v)


def levenberg_marquardt(
    damping: jax.Array,
    curvature: Curvature,
    product: Product,
    grads: Params,
    direction: Params,
    rate: jax.Array,
) -> tuple[Params, jax.Array]:
    """The direction, or zeros where f would rise, and the damping for the next step.

    The damping follows how well the quadratic model predicted this step.

        delta = -eta d,    rho = (f(theta + delta) - f(theta)) / (g.delta + 1/2 delta.A delta)

        lambda <- 4 lambda and no step where f rises,
                  3/2 lambda where rho < 1/4,    2/3 lambda where rho > 3/4

    f is the objective of the same batch, and what the given gradient has beyond f's own, such as a
    penalty's, taken as linear. It costs a forward pass and a product beyond those of the step.
    Held in [1e-8, 1e8]; left alone where f is not finite to begin with.

    Args:
      damping: lambda, scalar.
      curvature: of this batch.
      product: v -> A v, without damping.
      grads: g.
      direction: d, what the learning rate multiplies.
      rate: eta.
    """
    variables = curvature.variables
    delta = jax.tree.map(lambda d, v: (-rate * d).astype(v.dtype), direction, variables)
    before, slope = jax.value_and_grad(curvature.value)(variables)
    after = curvature.value(jax.tree.map(jnp.add, variables, delta))
    # What the given gradient has beyond that of f, taken as linear.
    beyond = optax.tree.vdot(optax.tree.sub(grads, slope), delta)
    actual = after - before + beyond
    predicted = optax.tree.vdot(grads, delta) + 0.5 * optax.tree.vdot(delta, product(delta))
    predicted = jnp.asarray(predicted)
    rho = actual / jnp.where(predicted < 0, predicted, jnp.nan)
    # A rise below the rounding of f does not count.
    slack = 4 * jnp.finfo(before.dtype).eps * jnp.abs(before)
    rises = jnp.isfinite(before) & ~(actual <= slack)
    factor = jnp.where(rho < 0.25, 1.5, jnp.where(rho > 0.75, 1 / 1.5, 1.0))
    damping = jnp.clip(damping * jnp.where(rises, 4.0, factor), 1e-8, 1e8).astype(damping.dtype)
    return jax.tree.map(lambda d: jnp.where(rises, jnp.zeros_like(d), d), direction), damping
