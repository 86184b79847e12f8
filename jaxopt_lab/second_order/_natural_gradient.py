"""Natural gradient."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Count, LearningRate, Repeats, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.linalg import cg, dense
from jaxopt_lab.second_order.curvature import Fisher
from jaxopt_lab.second_order.damping import Damping, damped, levenberg_marquardt
from jaxopt_lab.second_order.fisher_solve import matrix_solve, woodbury_solve
from jaxopt_lab.second_order.transformation import (
    by_curvature,
    finite_direction,
    need_small,
    with_learning_rate,
)

Solve = Literal["cg", "woodbury", "dense"]


class NaturalGradientState(NamedTuple):
    """Steps taken, and the damping of the next step (of the last one, where it does not adapt)."""

    count: jax.Array
    damping: jax.Array


@declare(needs=("curvature",))
@checked
def natural_gradient(
    learning_rate: LearningRate,
    damping: Damping = 1e-3,
    *,
    fisher: Fisher = "ggn",
    solve: Solve = "cg",
    iterations: Repeats = 10,
    adapt_damping: bool = False,
    max_params: Count = 4096,
) -> optax.GradientTransformationExtraArgs:
    """Natural gradient: steepest descent in the model's distributions, not in its parameters.

    Where a loss is badly conditioned, and to see what its approximations (`kfac`,
    `block_natural_gradient`, `diagonal_hessian`) leave out. Without damping its path does not
    depend on how the model is parametrized. One solve a step, with all parameters at once:

        theta <- theta - eta (F + lambda I)^-1 g

    With eta = 1 a step trusts its batch entirely: take `adapt_damping`, or a smaller eta.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      damping: lambda > 0, added to the diagonal; a number, a traced array or a schedule.
      fisher: static; F is "ggn", the generalized Gauss-Newton matrix, which for softmax
        cross-entropy, the logistic loss and the squared error is the Fisher itself, without noise;
        "mc", the Fisher of one draw of labels from the model; "empirical", of the true labels,
        which is no approximation of the others where the model fits badly.
      solve: static; "cg", by products only, for any size; "woodbury", exact for "mc" and
        "empirical" with N samples, by their N per-example gradients and an N x N solve,
        (1/lambda) (g - J^T (J J^T + lambda N I)^-1 J g), in which a lambda below 1e-6 of F's
        largest eigenvalue loses float32's digits; "dense", exact, by the P x P matrix.
      iterations: static; of "cg": what they do not reach acts like more damping.
      adapt_damping: static; Levenberg and Marquardt's rule: lambda begins at `damping`; where the
        step would raise the objective of its own batch it is not taken, and lambda is multiplied by
        4; where it lowers it by less than a quarter of what the quadratic model says, by 3/2; by
        more than three quarters, by 2/3. A forward pass and a product more.
      max_params: static; the most parameters that "dense" takes.

    Returns:
      A transformation; its `update` needs the extra `curvature`.

    Raises:
      ArgumentError: for a number out of its range, and for "woodbury" with "ggn".
      InputError: from `update`, where `curvature` is not given or "dense" is too large.

    Reference: Amari, 1998, https://doi.org/10.1162/089976698300017746; Martens, 2020,
    https://arxiv.org/abs/1412.1193; the damping's rule: Martens and Grosse, 2015,
    https://arxiv.org/abs/1503.05671, section 6.5, with a model that leaves the damping out.
    """
    return with_learning_rate(
        scale_by_natural_gradient(
            damping,
            fisher=fisher,
            solve=solve,
            iterations=iterations,
            adapt_damping=adapt_damping,
            trial_rate=learning_rate,
            max_params=max_params,
        ),
        learning_rate,
    )


@checked
def scale_by_natural_gradient(
    damping: Damping = 1e-3,
    *,
    fisher: Fisher = "ggn",
    solve: Solve = "cg",
    iterations: Repeats = 10,
    adapt_damping: bool = False,
    trial_rate: LearningRate = 1.0,
    max_params: Count = 4096,
) -> optax.GradientTransformationExtraArgs:
    """`natural_gradient` without the step: g becomes (F + lambda I)^-1 g.

    Args:
      trial_rate: the rate that will multiply it, for `adapt_damping`.
      damping, fisher, solve, iterations, adapt_damping, max_params: as of `natural_gradient`.

    Returns:
      A transformation; state `NaturalGradientState(count, damping)`.
    """
    if solve == "woodbury" and fisher == "ggn":
        raise ArgumentError(
            "natural_gradient",
            {"solve": "'woodbury' needs per-example gradients: fisher='mc' or 'empirical'"},
        )

    def init(params):
        del params
        start = jnp.zeros([], jnp.int32)
        return NaturalGradientState(start, value_at(damping, start))

    def direction(g, state, curvature, extra):
        lam = state.damping if adapt_damping else value_at(damping, state.count)
        product = None if solve == "woodbury" else curvature.operator(fisher)
        if solve == "cg":
            solution = cg(damped(product, lam), g, iterations=iterations).x
        else:
            flat, unravel = ravel_pytree(g)
            if solve == "dense":
                need_small("natural_gradient", g, max_params, "use solve='cg'")
                solution = unravel(matrix_solve(dense(product, g), flat, lam))
            else:
                rows = jax.vmap(lambda g: ravel_pytree(g)[0])(curvature.fisher_grads(fisher))
                solution = unravel(woodbury_solve(rows, flat, lam))
        if adapt_damping:
            solution = finite_direction(solution, g)
            eta = value_at(trial_rate, state.count, extra.get("learning_rate_scale"))
            product = curvature.operator(fisher) if product is None else product
            solution, lam = levenberg_marquardt(lam, curvature, product, g, solution, eta)
        return solution, NaturalGradientState(optax.safe_increment(state.count), lam)

    return by_curvature("natural_gradient", init, direction)
