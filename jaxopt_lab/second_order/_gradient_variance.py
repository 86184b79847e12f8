"""The variance of the gradient as its scale."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import averaging_weight, step_toward
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, Probability, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.tree import find_state, zeros_accumulator
from jaxopt_lab.core.types import Params
from jaxopt_lab.second_order.noise import noise_to_signal
from jaxopt_lab.second_order.transformation import (
    by_curvature,
    with_learning_rate,
)


class GradientVarianceState(NamedTuple):
    """Steps taken; averages of g, of its variance, and of the noise's and the signal's size."""

    count: jax.Array
    mean: Params
    variance: Params
    noise: jax.Array
    signal: jax.Array


@declare(needs=("curvature",))
@checked
@renamed(beta1="b1", beta2="b2")
def gradient_variance(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.99,
    eps: Positive = 1e-8,
    power: Probability = 0.5,
) -> optax.GradientTransformationExtraArgs:
    """The per-example variance of the gradient as the scale of each parameter.

    Long steps where the samples agree, short ones where they do not; and a measure of how large
    a batch is worth its cost. Needs per-example gradients: B times the parameters' memory, and no
    batch normalization.

        m <- average of g with b1
        v <- average of s^2 = 1/(B - 1) sum_i (g_i - mean of g_i)^2 with b2
        theta <- theta - eta m / (v^p + eps)

    Both averages are without the bias of their beginning. For a batch of one, s^2 is g^2.
    `gradient_noise_scale(state)` reads what the variances say of the batch size.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the gradient's average; 0 for none.
      b2: 0 <= b2 < 1, decay of the variances' average; 0 for none.
      eps: > 0, added to the scale.
      power: p in [0, 1]; 1/2 divides by the standard deviation, 1 by the variance: the natural
        gradient with the diagonal of the gradients' covariance.

    Returns:
      A transformation; its `update` needs the extra `curvature`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where `curvature` is not given.

    Reference: Le Roux, Manzagol and Bengio, 2008, Topmoumoute online natural gradient algorithm,
    https://papers.nips.cc/paper/3234; the noise scale: McCandlish et al., 2018,
    https://arxiv.org/abs/1812.06162, section 2.2.

    Differs from: Adam's v averages the square of the batch's gradient, in which the samples'
    variance is divided by B and the mean's square is added.
    """
    return with_learning_rate(scale_by_gradient_variance(b1, b2, eps, power), learning_rate)


@checked
@renamed(beta1="b1", beta2="b2")
def scale_by_gradient_variance(
    b1: Decay = 0.9, b2: Decay = 0.99, eps: Positive = 1e-8, power: Probability = 0.5
) -> optax.GradientTransformationExtraArgs:
    """`gradient_variance` without the step.

    Args:
      b1, b2, eps, power: as of `gradient_variance`.

    Returns:
      A transformation; state `GradientVarianceState(count, mean, variance, noise, signal)`.
    """

    def init(params):
        return GradientVarianceState(
            count=jnp.zeros([], jnp.int32),
            mean=zeros_accumulator(params),
            variance=zeros_accumulator(params),
            noise=jnp.zeros([], float),
            signal=jnp.zeros([], float),
        )

    def direction(g, state, curvature, extra):
        del extra
        grads = curvature.per_example_grads()
        samples = len(jax.tree.leaves(grads)[0])
        count = jnp.asarray(optax.safe_increment(state.count))
        w1, w2 = averaging_weight(b1, count), averaging_weight(b2, count)
        if samples == 1:
            spread, noise = jax.tree.map(lambda x: x[0] ** 2, grads), 0.0
        else:
            spread = jax.tree.map(lambda x: x.var(0, ddof=1), grads)
            noise = sum(x.sum() for x in jax.tree.leaves(spread))
        square = sum((x.mean(0) ** 2).sum() for x in jax.tree.leaves(grads))
        mean = step_toward(state.mean, g, w1)
        variance = step_toward(state.variance, spread, w2)
        step = jax.tree.map(lambda m, v: m / (v**power + eps), mean, variance)
        new = GradientVarianceState(
            count,
            mean,
            variance,
            noise=step_toward(state.noise, noise, w2),
            # The square of the batch's mean holds the noise of that mean, which is taken out.
            signal=step_toward(state.signal, square - noise / samples, w2),
        )
        return step, new

    return by_curvature("gradient_variance", init, direction)


def gradient_noise_scale(opt_state: Any) -> jax.Array:
    """The batch size at which the gradient's noise is as large as the gradient itself.

        B_simple = tr(Sigma) / |G|^2

    As `noise_scale`, from the averages that `gradient_variance` keeps, each without bias; 0 before
    the first step and for batches of one.

    Args:
      opt_state: an optimizer's state, with one `gradient_variance` however deep in it.

    Returns:
      A float scalar, in samples.

    Raises:
      InputError: where there is not exactly one `gradient_variance`.

    Reference: McCandlish et al., 2018, https://arxiv.org/abs/1812.06162, section 2.2.
    """

    state = find_state(opt_state, "gradient_variance", GradientVarianceState)
    return noise_to_signal(state.noise, state.signal)
