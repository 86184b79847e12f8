"""AdEMAMix: Adam with a second, slow momentum."""

import math
from typing import Annotated

import optax

from jaxopt_lab.core.mask import BatchAxes, Mask, masked
from jaxopt_lab.core.ranges import Decay, LearningRate, Momentum, Positive, Range, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.types import ScalarOrSchedule
from jaxopt_lab.optimizers.from_optax import SMALLEST, from_optax
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
@renamed(beta1="b1", beta2="b2", beta3="b3")
def ademamix(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    b3: Momentum = 0.9999,
    alpha: Annotated[ScalarOrSchedule, Range(0, math.inf, high_open=True)] = 5.0,
    eps: Positive = 1e-8,
    weight_decay: WeightDecay = 0.0,
    mask: Mask = None,
    *,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """AdEMAMix: Adam whose momentum mixes a fast average of the gradients with a very slow one.

    For long runs, of well over 1 / (1 - b3) steps; the slow average forgets less.

        m1 <- b1 m1 + (1 - b1) g,    m2 <- b3 m2 + (1 - b3) g
        v <- b2 v + (1 - b2) g^2
        d = (m1 / (1 - b1^t) + alpha m2) / (sqrt(v / (1 - b2^t)) + eps)
        theta <- theta - eta (d + lambda theta)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the fast average.
      b2: 0 <= b2 < 1, decay of the second moment.
      b3: 0 <= b3 < 1, decay of the slow average; a number, traced array or schedule.
      alpha: >= 0, the slow average's weight; a number, traced array or schedule.
      eps: > 0, added to the root.
      weight_decay: lambda >= 0, a number, a traced array or a schedule; a step shrinks by
        eta lambda.
      mask: which parameters decay: a pytree of bools, a prefix of one (True: all), or a function
        of the parameters that gives one; None for those of rank above 1.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        are no part of its rank; a number, a pytree of numbers, a prefix of one, or a function of
        the parameters that gives one; None for 0.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Pagliardini, Ablin and Grangier, 2024, https://arxiv.org/abs/2409.03137;
    `optax.contrib.ademamix`. The paper raises b3 and alpha over the run.

    Differs from: optax decays every parameter unless told otherwise.
    """
    decays = masked(mask, batch_axes)

    def build(eta, step):
        return optax.contrib.ademamix(
            eta,
            b1,
            b2,
            value_at(b3, step),
            value_at(alpha, step),
            eps,
            SMALLEST,
            weight_decay=value_at(weight_decay, step),
            mask=decays,
        )

    return from_optax("ademamix", learning_rate, build)
