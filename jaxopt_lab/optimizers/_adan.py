"""Adan: adaptive Nesterov momentum."""

import optax

from jaxopt_lab.core.mask import BatchAxes, Mask, masked
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.optimizers.from_optax import from_optax
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
@renamed(beta1="b1", beta2="b2", beta3="b3")
def adan(
    learning_rate: LearningRate,
    b1: Decay = 0.98,
    b2: Decay = 0.92,
    b3: Decay = 0.99,
    eps: Positive = 1e-8,
    weight_decay: WeightDecay = 0.0,
    mask: Mask = None,
    *,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """Adan: Adam with Nesterov's momentum by the difference of successive gradients.

    Takes rates up to 10 times Adam's, at the price of four accumulators.

        m <- b1 m + (1 - b1) g,    v <- b2 v + (1 - b2) (g - g_old)
        n <- b3 n + (1 - b3) (g + (1 - b2) (g - g_old))^2
        d = (m^ + (1 - b2) v^) / (sqrt(n^ + eps) + eps)        each divided by its 1 - beta^t
        theta <- theta - eta (d + lambda theta)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the gradient's average.
      b2: 0 <= b2 < 1, decay of the difference's average.
      b3: 0 <= b3 < 1, decay of the second moment.
      eps: > 0, under and after the root.
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

    Reference: Xie et al., 2022, https://arxiv.org/abs/2208.06677, Algorithm 1; `optax.adan`.

    Differs from: the paper divides by 1 + eta lambda; optax decays every parameter unless told
    otherwise.
    """
    decays = masked(mask, batch_axes)

    def build(eta, step):
        return optax.adan(
            eta,
            b1,
            b2,
            b3,
            eps,
            eps,
            weight_decay=value_at(weight_decay, step),
            mask=decays,
        )

    return from_optax("adan", learning_rate, build)
