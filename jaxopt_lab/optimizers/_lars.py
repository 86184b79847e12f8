"""LARS: momentum with a layer-wise trust ratio."""

import optax

from jaxopt_lab.core.mask import BatchAxes, Mask, masked
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.optimizers.by_layer import by_layer
from jaxopt_lab.optimizers.from_optax import from_optax
from jaxopt_lab.optimizers.trust_ratio import scale_by_trust_ratio
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
@renamed(beta="momentum", trust="trust_coefficient")
def lars(
    learning_rate: LearningRate,
    momentum: Decay = 0.9,
    trust_coefficient: Positive = 1e-3,
    weight_decay: WeightDecay = 0.0,
    mask: Mask = None,
    *,
    nesterov: bool = False,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """LARS: momentum with each tensor's gradient rescaled to the tensor's own norm.

    For very large batches of convolutional networks.

        d = g + lambda theta
        m <- beta m + eta c (|theta| / |d|) d        a tensor at a time; c and the ratio 1 where
        theta <- theta - m                           a norm is 0

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      momentum: beta, 0 <= beta < 1, the share of the velocity kept.
      trust_coefficient: c > 0, the factor on the ratio of norms.
      weight_decay: lambda >= 0 in the gradient, a number, a traced array or a schedule.
      mask: which parameters decay and are rescaled: a pytree of bools, a prefix of one (True:
        all), or a function of the parameters that gives one; None for those of rank above 1. The
        others take plain momentum.
      nesterov: static; whether the step is eta d + beta m in the place of m.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        have a ratio each and are no part of a rank; a number, a pytree of numbers, a prefix of one,
        or a function of the parameters that gives one; None for 0.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: You, Gitman and Ginsburg, 2017, https://arxiv.org/abs/1708.03888; `optax.lars`.

    Differs from: optax decays and rescales every parameter unless told otherwise.
    """
    decays = masked(mask, batch_axes)

    def build(eta, step):
        ratio = scale_by_trust_ratio(trust_coefficient)
        return optax.chain(
            optax.add_decayed_weights(value_at(weight_decay, step), decays),
            optax.masked(by_layer(ratio, batch_axes), decays),
            optax.scale_by_learning_rate(eta),
            optax.trace(momentum, nesterov),
        )

    return from_optax("lars", learning_rate, build)
