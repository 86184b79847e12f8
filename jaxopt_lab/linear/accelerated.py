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


def accelerated(
    gradient: Callable[[jax.Array], jax.Array],
    prox: Callable[[jax.Array], jax.Array],
    steps: jax.Array,
    certificate: Callable[[jax.Array], jax.Array],
    start: jax.Array,
    tolerance: jax.typing.ArrayLike,
    max_iterations: int,
) -> Optimum:
    """Minimize a smooth convex function plus one with a proximal map.

        x_{k+1} = prox(y_k - eta grad f(y_k))
        t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2
        y_{k+1} = x_{k+1} + (t_k - 1)/t_{k+1} (x_{k+1} - x_k)

    and the momentum restarts where it points uphill.

    Args:
      gradient: of f.
      prox: of the other function, for step sizes `steps`.
      steps: eta, of x's shape or broadcast to it; at most 1/L in each coordinate's units.
      certificate: a scalar that is 0 at an optimum; looked at every 10 iterations.
      start: x_0.
      tolerance: stops at a certificate of this or less, or NaN.
      max_iterations: stops after these, rounded up to 10.

    Reference: Beck and Teboulle, 2009, https://doi.org/10.1137/080716542; restarts: O'Donoghue and
    Candes, 2015, https://arxiv.org/abs/1204.3982.
    """

    def iteration(_, carry):
        x, y, t = carry
        new = prox(y - steps * gradient(y))
        uphill = ((y - new) * (new - x) / steps).sum() > 0
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
    if A.X.shape[0] >= A.X.shape[1]:
        return eigvalsh(A.gram())[-1]
    whole = A.whole()
    return eigvalsh(whole @ whole.T)[-1]
