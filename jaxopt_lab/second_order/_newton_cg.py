"""Hessian-free Newton."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Decay, LearningRate, Repeats, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.tree import zeros_accumulator
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg import cg
from jaxopt_lab.second_order.damping import Damping, damped, levenberg_marquardt
from jaxopt_lab.second_order.transformation import (
    by_curvature,
    finite_direction,
    with_learning_rate,
)


class NewtonCGState(NamedTuple):
    """Steps taken, the damping, the last solution, and whether it met negative curvature."""

    count: jax.Array
    damping: jax.Array
    solution: Params
    negative_curvature: jax.Array


@declare(needs=("curvature",))
@checked
def newton_cg(
    learning_rate: LearningRate,
    damping: Damping = 0.1,
    warm_start: Decay = 0.0,
    *,
    matrix: Literal["hessian", "ggn"] = "hessian",
    iterations: Repeats = 20,
    adapt_damping: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Hessian-free Newton: the Newton system, solved by a few conjugate gradients.

    For large batches and any number of parameters: a step costs `iterations` products, each about
    four times a gradient at most, and five vectors of memory.

        (H + lambda I) d = g    by CG from c times the last d,    theta <- theta - eta d

    CG ends where it meets a direction of negative curvature, with what it has by then, or the
    gradient where it has nothing. A solution that does not go downhill is replaced by the gradient.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      damping: lambda > 0, added to the diagonal; a number, a traced array or a schedule.
      warm_start: c, 0 <= c < 1; above 0 (Martens and Sutskever: 0.95) CG begins at the last
        solution times c, which with large batches saves iterations.
      matrix: static; H is "hessian", the Hessian itself, or "ggn", the generalized Gauss-Newton
        matrix, in which no negative curvature is left.
      iterations: static; of CG.
      adapt_damping: static; Levenberg and Marquardt's rule, as of `natural_gradient`.

    Returns:
      A transformation; its `update` needs the extra `curvature`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where `curvature` is not given.

    Reference: Martens, 2010, https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf;
    Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.1.

    Differs from: Martens' has a line search, a preconditioner, and ends CG when it makes too little
    progress; here CG runs a fixed number of iterations, as `vmap` and `scan` need.
    """
    return with_learning_rate(
        scale_by_newton_cg(
            damping,
            warm_start,
            matrix=matrix,
            iterations=iterations,
            adapt_damping=adapt_damping,
            trial_rate=learning_rate,
        ),
        learning_rate,
    )


@checked
def scale_by_newton_cg(
    damping: Damping = 0.1,
    warm_start: Decay = 0.0,
    *,
    matrix: Literal["hessian", "ggn"] = "hessian",
    iterations: Repeats = 20,
    adapt_damping: bool = False,
    trial_rate: LearningRate = 1.0,
) -> optax.GradientTransformationExtraArgs:
    """`newton_cg` without the step: g becomes the solution d.

    Args:
      trial_rate: the rate that will multiply it, for `adapt_damping`.
      damping, warm_start, matrix, iterations, adapt_damping: as of `newton_cg`.

    Returns:
      A transformation; state `NewtonCGState(count, damping, solution, negative_curvature)`.
    """

    def init(params):
        start = jnp.zeros([], jnp.int32)
        return NewtonCGState(
            start, value_at(damping, start), zeros_accumulator(params), jnp.array(False)
        )

    def direction(g, state, curvature, extra):
        lam = state.damping if adapt_damping else value_at(damping, state.count)
        product = curvature.operator(matrix)
        start = jax.tree.map(lambda d: (warm_start * d).astype(d.dtype), state.solution)
        solution = cg(damped(product, lam), g, iterations=iterations, x0=start)
        # Where it does not go downhill CG had no step, or a bad start misled it.
        downhill = jnp.asarray(optax.tree.vdot(solution.x, g)) > 0
        d = jax.tree.map(lambda x, g: jnp.where(downhill, x, g), solution.x, g)
        d = finite_direction(d, g)
        if adapt_damping:
            eta = value_at(trial_rate, state.count, extra.get("learning_rate_scale"))
            d, lam = levenberg_marquardt(lam, curvature, product, g, d, eta)
        count = optax.safe_increment(state.count)
        return d, NewtonCGState(count, lam, d, solution.negative_curvature)

    return by_curvature("newton_cg", init, direction)
