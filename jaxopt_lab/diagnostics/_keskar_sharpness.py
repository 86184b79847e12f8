"""How much the loss rises in a neighborhood at most."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.norm import norm
from jaxopt_lab.core.precision import full_precision
from jaxopt_lab.core.ranges import Count, Positive, checked
from jaxopt_lab.core.tree import widen
from jaxopt_lab.core.types import Params
from jaxopt_lab.diagnostics.displaced import displaced
from jaxopt_lab.diagnostics.objective import scalar


class KeskarSharpness(NamedTuple):
    """The greatest rise found, a scalar; the same in percent of 1 + L; and where it was found."""

    rise: jax.Array
    percent: jax.Array
    perturbation: Params


@checked
@full_precision
def keskar_sharpness(
    objective: Callable[[Params], jax.Array],
    params: Params,
    key: jax.Array,
    *,
    epsilon: Positive = 1e-3,
    ball: Literal["box", "l2"] = "box",
    steps: Count = 30,
    step_size: Positive = 0.5,
) -> KeskarSharpness:
    """The greatest rise of the loss in a small neighborhood, by projected gradient ascent.

        rise = max_z L(theta + z) - L(theta),    percent = 100 rise / (1 + L(theta))
        box: |z_i| <= epsilon (|theta_i| + 1),     z <- clip(z + step_size * bound * sign g)
        l2:  |z| <= epsilon,                       z <- project(z + step_size * epsilon g / |g|)

    Use it at a minimum, where `sam_sharpness` is 0. There the l2 one is about epsilon^2 / 2 times
    the greatest eigenvalue of the Hessian. The ascent starts at random, because at a minimum the
    gradient shows no way up, and the best point on its path counts. So the rise is a lower bound
    of the maximum, and never negative.

    Matrix products are at full precision ("highest"), because the rise is a difference of two
    losses. In float32 a rise below 1e-7 of the loss is rounding: a larger epsilon, or float64.

    Args:
      objective: `params -> scalar`, such as `mean_loss(...)`.
      params: where; a pytree of floating arrays.
      key: of the start in the neighborhood.
      epsilon: > 0, the size of the neighborhood: relative to |theta_i| + 1 in the box, in the
        parameters' units in the l2 ball.
      ball: "box", Keskar's, or "l2".
      steps: of the ascent, a gradient each.
      step_size: > 0, as a share of the neighborhood's radius.

    Returns:
      `KeskarSharpness(rise, percent, perturbation)`; NaN where the ascent meets one.

    Raises:
      ArgumentError: for a number or a word out of its range.
      InputError: for an objective that gives no scalar.

    Reference: Keskar et al., 2017, https://arxiv.org/abs/1609.04836, Metric 2.1

    Differs from: the paper, which maximizes by 10 iterations of L-BFGS-B.
    """
    objective = scalar("keskar_sharpness", objective)
    wide = widen(params)
    bounds = jax.tree.map(lambda p: epsilon * (jnp.abs(p) + 1), wide)

    def project(z):
        if ball == "box":
            return jax.tree.map(lambda z, bound: jnp.clip(z, -bound, bound), z, bounds)
        return _scaled(z, jnp.minimum(1, epsilon * norm(z).reciprocal))

    def ascend(z, grads):
        if ball == "box":
            moves = jax.tree.map(lambda g, bound: bound * jnp.sign(g), widen(grads), bounds)
        else:
            moves = _scaled(widen(grads), epsilon * norm(grads).reciprocal)
        return project(jax.tree.map(lambda z, move: z + step_size * move, z, moves))

    def at(z):
        return objective(displaced(params, (z,), (1,)))

    def step(carry, _):
        z, best, best_z = carry
        value, grads = jax.value_and_grad(at)(z)
        return (ascend(z, grads), *_better(value, z, best, best_z)), None

    start = project(
        jax.tree.map(
            lambda u, bound: u * bound,
            optax.tree.random_like(key, wide, lambda *args: jax.random.uniform(*args) * 2 - 1),
            bounds,
        )
    )
    loss = objective(params)
    carry = (start, loss, optax.tree.zeros_like(wide))
    (z, best, best_z), _ = jax.lax.scan(step, carry, length=steps)
    best, best_z = _better(at(z), z, best, best_z)
    rise = best - loss
    return KeskarSharpness(rise, 100 * rise / (1 + loss), best_z)


def _better(value, z, best, best_z):
    """The higher of two; NaN is higher than any number, so that it shows."""
    higher = ~(value <= best)
    kept = jax.tree.map(lambda a, b: jnp.where(higher, a, b), z, best_z)
    return jnp.where(higher, value, best), kept


def _scaled(tree, factor):
    return jax.tree.map(lambda x: x * factor.astype(x.dtype), tree)
