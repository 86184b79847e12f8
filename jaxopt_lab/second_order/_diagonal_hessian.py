"""The diagonal of the Hessian."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import averaging_weight, step_toward
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.norm import root
from jaxopt_lab.core.ranges import (
    Count,
    Decay,
    LearningRate,
    Positive,
    Probability,
    Repeats,
    checked,
    require_number,
)
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.tree import zeros_accumulator
from jaxopt_lab.core.types import Params
from jaxopt_lab.linalg import diagonal, hutchinson_diag
from jaxopt_lab.second_order.curvature import Curvature
from jaxopt_lab.second_order.transformation import (
    by_curvature,
    need_small,
    with_learning_rate,
)

Estimator = Literal["hutchinson", "gauss_newton", "exact"]
Rule = Literal["adahessian", "damped"]


class DiagonalHessianState(NamedTuple):
    """Steps taken, and the averages of g and of the diagonal (of its square, by AdaHessian)."""

    count: jax.Array
    mean: Params
    curvature: Params


@declare(needs=("curvature",))
@checked
@renamed(beta1="b1", beta2="b2")
def diagonal_hessian(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    damping: Positive = 1e-4,
    power: Probability = 1.0,
    *,
    estimator: Estimator = "hutchinson",
    rule: Rule = "adahessian",
    samples: Repeats = 1,
    max_params: Count = 4096,
) -> optax.GradientTransformationExtraArgs:
    """Newton's step with the diagonal of the Hessian alone: a rate for every parameter.

    As cheap as a second-order method gets: one Hessian product a step, and Adam's memory.

        m <- average of g with b1

        v <- average of D^2 with b2,  theta <- theta - eta m / (sqrt(v)^k + lambda)  "adahessian"
        h <- average of D with b2,    theta <- theta - eta m / (|h| + lambda)        "damped"

    All averages are without the bias of their beginning.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the gradient's average; 0 for none.
      b2: 0 <= b2 < 1, decay of the diagonal's average; 0 for none.
      damping: lambda > 0, added to the diagonal's size.
      power: k in [0, 1], of "adahessian": 0 leaves the gradient's average alone.
      estimator: static; D is "hutchinson": z * H z with random signs z, unbiased; "gauss_newton":
        the exact diagonal of the generalized Gauss-Newton matrix, never negative, by a per-example
        backward pass for each output; "exact": the Hessian's, by a product for each parameter.
      rule: static; the second averages D with its sign before it takes its size, so that noise
        cancels, the first the squares.
      samples: static; probes of "hutchinson" a step.
      max_params: static; the most parameters that "exact" takes.

    Returns:
      A transformation; its `update` needs the extra `curvature`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where `curvature` is not given or "exact" is too large.

    Reference: AdaHessian: Yao et al., 2021, https://arxiv.org/abs/2006.00719; "damped" with
    "gauss_newton": LeCun et al., 1998, Efficient BackProp, section 9.1 (stochastic diagonal
    Levenberg-Marquardt, without momentum).

    Differs from: AdaHessian's authors also average D over each filter of a convolution.
    """
    return with_learning_rate(
        scale_by_diagonal_hessian(
            b1,
            b2,
            damping,
            power,
            estimator=estimator,
            rule=rule,
            samples=samples,
            max_params=max_params,
        ),
        learning_rate,
    )


@checked
@renamed(beta1="b1", beta2="b2")
def scale_by_diagonal_hessian(
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    damping: Positive = 1e-4,
    power: Probability = 1.0,
    *,
    estimator: Estimator = "hutchinson",
    rule: Rule = "adahessian",
    samples: Repeats = 1,
    max_params: Count = 4096,
) -> optax.GradientTransformationExtraArgs:
    """`diagonal_hessian` without the step.

    Args:
      b1, b2, damping, power, estimator, rule, samples, max_params: as of `diagonal_hessian`.

    Returns:
      A transformation; state `DiagonalHessianState(count, mean, curvature)`.
    """
    squared = rule == "adahessian"

    def init(params):
        zeros = zeros_accumulator
        return DiagonalHessianState(jnp.zeros([], jnp.int32), zeros(params), zeros(params))

    def estimate(curvature: Curvature) -> Params:
        if estimator == "gauss_newton":
            return curvature.ggn_diagonal()
        like, product = curvature.variables, curvature.operator("hessian")
        if estimator == "exact":
            need_small("diagonal_hessian", like, max_params, "use estimator='hutchinson'")
            return diagonal(product, like)
        require_number("diagonal_hessian", samples=samples)
        return hutchinson_diag(product, like, curvature.probe_key, samples)

    def size(h):
        return root(h) ** power if squared else jnp.abs(h)

    def direction(g, state, curvature, extra):
        del extra
        count = jnp.asarray(optax.safe_increment(state.count))
        mean = step_toward(state.mean, g, averaging_weight(b1, count))
        new = jax.tree.map(lambda d: d**2 if squared else d, estimate(curvature))
        average = step_toward(state.curvature, new, averaging_weight(b2, count))
        step = jax.tree.map(lambda m, h: m / (size(h) + damping), mean, average)
        return step, DiagonalHessianState(count, mean, average)

    return by_curvature("diagonal_hessian", init, direction)
