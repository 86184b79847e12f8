"""LAMB: Adam with a layer-wise trust ratio."""

import optax

from jaxopt_lab.core.mask import BatchAxes, Mask, masked
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.optimizers.by_layer import by_layer
from jaxopt_lab.optimizers.from_optax import SMALLEST, from_optax
from jaxopt_lab.optimizers.trust_ratio import scale_by_trust_ratio
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
@renamed(beta1="b1", beta2="b2")
def lamb(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Positive = 1e-6,
    weight_decay: WeightDecay = 0.0,
    mask: Mask = None,
    *,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """LAMB: Adam's step of each tensor, rescaled to the tensor's own norm.

    For very large batches of attention networks.

        d = m^ / (sqrt(v^) + eps) + lambda theta        m^ and v^ as in `adam`
        theta <- theta - eta (|theta| / |d|) d          by tensors; ratio 1 where a norm is 0

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the first moment.
      b2: 0 <= b2 < 1, decay of the second moment.
      eps: > 0, added to the root.
      weight_decay: lambda >= 0, a number, a traced array or a schedule.
      mask: which parameters decay: a pytree of bools, a prefix of one (True: all), or a function
        of the parameters that gives one; None for those of rank above 1.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        have a ratio each and are no part of a rank; a number, a pytree of numbers, a prefix of one,
        or a function of the parameters that gives one; None for 0.

    Returns:
      A transformation; state `FromOptaxState(count, inner)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: You et al., 2020, https://arxiv.org/abs/1904.00962, Algorithm 2; `optax.lamb`.

    Differs from: optax decays every parameter unless told otherwise.
    """
    decays = masked(mask, batch_axes)

    def build(eta, step):
        return optax.chain(
            optax.scale_by_adam(b1, b2, eps, SMALLEST),
            optax.add_decayed_weights(value_at(weight_decay, step), decays),
            by_layer(scale_by_trust_ratio(), batch_axes),
            optax.scale_by_learning_rate(eta),
        )

    return from_optax("lamb", learning_rate, build)
