"""Newton's method."""

import math
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Count, LearningRate, Positive, Range, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.types import ScalarOrSchedule
from jaxopt_lab.linalg import dense
from jaxopt_lab.linalg.one_by_one import eigh
from jaxopt_lab.second_order.transformation import by_curvature, need_small, with_learning_rate

Safeguard = Literal["absolute", "shift"]
NoDamping = Annotated[ScalarOrSchedule, Range(0, math.inf, high_open=True)]


class NewtonState(NamedTuple):
    """Steps taken."""

    count: jax.Array


@declare(needs=("curvature",))
@checked
def newton(
    learning_rate: LearningRate,
    damping: NoDamping = 0.0,
    smallest: Positive = 1e-6,
    *,
    safeguard: Safeguard = "absolute",
    max_params: Count = 2000,
) -> optax.GradientTransformationExtraArgs:
    """Newton's method, by the whole Hessian and its eigenvalues.

    For a few hundred parameters, full batches and lectures: a quadratic is solved in one step with
    learning_rate=1, and near a minimum the number of right digits doubles at every step.

        H = V diag(h) V^T,    theta <- theta - eta V diag(1 / h') V^T g

        h' = max(|h|, s max|h|) + lambda              safeguard="absolute"
        h' = h + max(0, s max|h| - min h) + lambda    safeguard="shift"

    The first turns the step along a negative curvature downhill and leaves positive ones alone, so
    a saddle repels; the second adds one number to all, and so shortens every step.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      damping: lambda >= 0, a number, a traced array or a schedule.
      smallest: s > 0, the smallest eigenvalue allowed, as a share of the largest in size.
      safeguard: static; what makes the matrix positive definite.
      max_params: static; the most parameters: P^2 numbers, P products and P^3 operations.

    Returns:
      A transformation; its `update` needs the extra `curvature`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where `curvature` is not given or there are too many parameters.

    Reference: Nocedal and Wright, Numerical Optimization, 2006, section 3.4; |h|: Dauphin et al.,
    2014, https://arxiv.org/abs/1406.2572
    """
    return with_learning_rate(
        scale_by_newton(damping, smallest, safeguard=safeguard, max_params=max_params),
        learning_rate,
    )


@checked
def scale_by_newton(
    damping: NoDamping = 0.0,
    smallest: Positive = 1e-6,
    *,
    safeguard: Safeguard = "absolute",
    max_params: Count = 2000,
) -> optax.GradientTransformationExtraArgs:
    """`newton` without the step: g becomes H'^-1 g.

    Args:
      damping, smallest, safeguard, max_params: as of `newton`.

    Returns:
      A transformation; state `NewtonState(count)`.
    """

    def init(params):
        del params
        return NewtonState(jnp.zeros([], jnp.int32))

    def direction(g, state, curvature, extra):
        del extra
        need_small("newton", g, max_params, "use newton_cg")
        flat, unravel = ravel_pytree(g)
        hessian = dense(curvature.operator("hessian"), g)
        h, vectors = eigh((hessian + hessian.T) / 2)
        least = smallest * jnp.abs(h).max()
        if safeguard == "absolute":
            h = jnp.maximum(jnp.abs(h), least)
        else:
            h = h + jnp.maximum(0, least - h.min())
        h = h + value_at(damping, state.count)
        # Where H is zero there is nothing to divide by: the gradient itself.
        solution = vectors @ ((vectors.T @ flat) / jnp.where(h > 0, h, 1))
        return unravel(solution.astype(flat.dtype)), NewtonState(optax.safe_increment(state.count))

    return by_curvature("newton", init, direction)
