"""Schedule-Free AdamW."""

from typing import Any

import jax
import optax

from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.mask import BatchAxes, Mask, masked
from jaxopt_lab.core.norm import root
from jaxopt_lab.core.ranges import Decay, LearningRate, OpenDecay, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.optimizers._schedule_free_average import schedule_free_average
from jaxopt_lab.optimizers.from_optax import from_optax
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@declare(eval_params=schedule_free_average)
@checked
@renamed(beta1="b1", beta2="b2")
def schedule_free_adamw(
    learning_rate: LearningRate = 2.5e-3,
    b1: OpenDecay = 0.9,
    b2: Decay = 0.999,
    eps: Positive = 1e-8,
    weight_decay: WeightDecay = 0.0,
    mask: Mask = None,
    *,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """Schedule-Free AdamW: averages its iterates, in the place of a rate that falls.

    `adamw` for runs without a set length. Give it a constant rate, or one that only warms up.

        y = (1 - b1) z + b1 x                    the parameters, where the gradient is taken
        v <- b2 v + (1 - b2) g(y)^2
        z <- z - eta (g(y) / (sqrt(v / (1 - b2^t)) + eps) + lambda y)
        x <- (1 - c) x + c z,    c = w / sum of w,    w = (largest eta so far)^2

    Evaluate x, not y: `schedule_free_average(state, params)`.

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 < b1 < 1, how near to the average the gradient is taken.
      b2: 0 <= b2 < 1, decay of the second moment.
      eps: > 0, added to the root.
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

    Reference: Defazio et al., 2024, https://arxiv.org/abs/2405.15682;
    `optax.contrib.schedule_free_adamw`.

    Differs from: optax weighs step k with a schedule's value at k + 1; this with that at k.
    """
    decays = masked(mask, batch_axes)

    def build(eta, step):
        decay = optax.add_decayed_weights(value_at(weight_decay, step), decays)
        inner = optax.chain(
            _scale_by_second_moment(b2, eps), decay, optax.scale_by_learning_rate(eta)
        )
        return optax.contrib.schedule_free(inner, eta, b1)

    return from_optax("schedule_free_adamw", learning_rate, build)


def _scale_by_second_moment(b2, eps) -> optax.GradientTransformation:
    """Adam without its first moment, whose work the average does: `g / (sqrt(v^) + eps)`.

    `optax.scale_by_rms` with derivatives that are finite at 0.
    """
    method = optax.scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True)

    def update(grads, state: Any, params=None):
        del params
        new: Any = method.update(grads, state)[1]
        below = optax.tree.bias_correction(new.nu, b2, new.count)
        return jax.tree.map(lambda g, v: 1 / (root(v.real) + eps) * g, grads, below), new

    return optax.GradientTransformation(method.init, update)
