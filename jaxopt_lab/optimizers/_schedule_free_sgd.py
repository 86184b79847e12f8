"""Schedule-Free SGD."""

import optax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.mask import BatchAxes, Mask, masked
from jaxopt_lab.core.ranges import LearningRate, OpenDecay, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.optimizers._schedule_free_average import schedule_free_average
from jaxopt_lab.optimizers.from_optax import from_optax
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@declare(eval_params=schedule_free_average)
@checked
@renamed(beta="b1")
def schedule_free_sgd(
    learning_rate: LearningRate,
    b1: OpenDecay = 0.9,
    weight_decay: WeightDecay = 0.0,
    mask: Mask = None,
    *,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """Schedule-Free SGD: averages its iterates, in the place of a rate that falls.

    For runs without a set length: at every step the average is as good as a finished schedule's.
    Give it a constant rate, or one that only warms up.

        y = (1 - b1) z + b1 x                          the parameters, where the gradient is taken
        z <- z - eta (g(y) + lambda y)
        x <- (1 - c) x + c z,    c = w / sum of w,    w = (largest eta so far)^2

    Evaluate x, not y: `schedule_free_average(state, params)`.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 < b1 < 1, how near to the average the gradient is taken.
      weight_decay: lambda >= 0, a number, a traced array or a schedule.
      mask: which parameters decay: a pytree of bools, a prefix of one (True: all), or a function
        of the parameters that gives one; None for those of rank above 1.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        are no part of its rank; a number, a pytree of numbers, a prefix of one, or a function of
        the parameters that gives one; None for 0.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Defazio et al., 2024, https://arxiv.org/abs/2405.15682, Algorithm 1;
    `optax.contrib.schedule_free`.

    Differs from: optax weighs step k with a schedule's value at k + 1; this with that at k.
    """
    decays = masked(mask, batch_axes)

    def build(eta, step):
        decay = optax.add_decayed_weights(value_at(weight_decay, step), decays)
        return optax.contrib.schedule_free(optax.chain(decay, optax.sgd(eta)), eta, b1)

    return from_optax("schedule_free_sgd", learning_rate, build)
