"""Lion: the sign of an interpolated momentum."""

import optax

from jaxopt_lab.core.mask import BatchAxes, Mask, masked
from jaxopt_lab.core.ranges import Decay, LearningRate, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.optimizers.from_optax import from_optax
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
@renamed(beta1="b1", beta2="b2")
def lion(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.99,
    weight_decay: WeightDecay = 1e-3,
    mask: Mask = None,
    *,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """Lion: every parameter moves by eta, in the direction of the momentum's sign.

    Half of Adam's memory. Takes a rate 3 to 10 times below Adam's, and a decay as much above it.

        u = sign(b1 m + (1 - b1) g)
        m <- b2 m + (1 - b2) g
        theta <- theta - eta (u + lambda theta)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, the momentum's share in the direction.
      b2: 0 <= b2 < 1, decay of the momentum.
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

    Reference: Chen et al., 2023, https://arxiv.org/abs/2302.06675, Algorithm 2; `optax.lion`.

    Differs from: optax decays every parameter unless told otherwise.
    """
    decays = masked(mask, batch_axes)

    def build(eta, step):
        return optax.lion(
            eta,
            b1,
            b2,
            weight_decay=value_at(weight_decay, step),
            mask=decays,
        )

    return from_optax("lion", learning_rate, build)
