"""Accelerated proximal gradient descent."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.linalg.one_by_one import eigvalsh
from jaxopt_lab.linear.centered import Centered

# Iterations between two looks at the certificate.
EVERY = 10


class Optimum(NamedTuple):
    """The last point, its certificate, and the iterations that it took."""

    x: jax.Array
    residual: jax.Array
    iterations: jax.Array


class Step(NamedTuple):
    """A step from y: where it leads, and `M (y - new)` of the metric M that it is taken in."""

    new: jax.Array
    fallen: jax.Array


def proximal(
    gradient: Callable[[jax.Array], jax.Array],
    prox: Callable[[jax.Array], jax.Array],
    steps: jax.Array,
) -> Callable[[jax.Array], Step]:
    """`y -> prox(y - eta grad f(y))`, for step sizes eta of y's shape or broadcast to it."""

    def step(y):
        new = prox(y - steps * gradient(y))
        return Step(new, (y - new) / steps)

    return step


def accelerated(
    step: Callable[[jax.Array], Step],
    certificate: Callable[[jax.Array], jax.Array],
    start: jax.Array,
    tolerance: jax.typing.ArrayLike,
    max_iterations: int,
) -> Optimum:
    """Minimize a smooth convex function plus one with a proximal map.

        x_{k+1} = prox(y_k - M^-1 grad f(y_k))
        t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2
        y_{k+1} = x_{k+1} + (t_k - 1)/t_{k+1} (x_{k+1} - x_k)

    and the momentum restarts where it points uphill.

    Args:
      step: from y_k; its metric M is at least the curvature of f everywhere.
      certificate: a scalar that is 0 at an optimum; looked at every 10 iterations.
      start: x_0.
      tolerance: stops at a certificate of this or less, or NaN.
      max_iterations: stops after these, rounded up to 10.

    Reference: Beck and Teboulle, 2009, https://doi.org/10.1137/080716542; restarts: O'Donoghue and
    Candes, 2015, https://arxiv.org/abs/1204.3982.
    """

    def iteration(_, carry):
        x, y, t = carry
        new, fallen = step(y)
        uphill = (fallen * (new - x)).sum() > 0
        after = jnp.where(uphill, 1, (1 + jnp.sqrt(1 + 4 * t**2)) / 2)
        momentum = jnp.where(uphill, 0, (t - 1) / after)
        return new, new + momentum * (new - x), after

    def unfinished(carry):
        _, residual, count = carry
        return (residual > tolerance) & (count < max_iterations)

    def several(carry):
        state, _, count = carry
        state = lax.fori_loop(0, EVERY, iteration, state)
        return state, certificate(state[0]), count + EVERY

    one, infinite = jnp.ones([], start.dtype), jnp.full([], jnp.inf, start.dtype)
    carry = ((start, start, one), infinite, jnp.zeros([], jnp.int32))
    (x, _, _), residual, count = lax.while_loop(unfinished, several, carry)
    return Optimum(x, residual, count)


def soft_threshold(x: jax.Array, threshold: jax.typing.ArrayLike) -> jax.Array:
    """`sign(x) max(|x| - threshold, 0)`, the proximal map of threshold |x|."""
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - threshold, 0)


def largest_eigenvalue(A: Centered) -> jax.Array:
    """Of `A^T A`."""
    if is_tall(A):
        return eigvalsh(A.gram())[-1]
    whole = A.whole()
    return eigvalsh(whole @ whole.T)[-1]


def is_tall(A: Centered) -> bool:
    """Whether `A^T A` is the smaller of its products with itself."""
    return A.X.shape[0] >= A.X.shape[1]
