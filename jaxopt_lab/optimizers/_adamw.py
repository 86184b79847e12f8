"""Adam with decoupled weight decay."""

import jax
import optax

from jaxopt_lab.core.mask import BatchAxes, Mask, masked
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen
from jaxopt_lab.optimizers._adam import scale_by_adam
from jaxopt_lab.optimizers.weight_decay import WeightDecay, decay_rates, need_params


@checked
@renamed(beta1="b1", beta2="b2")
def adamw(
    learning_rate: LearningRate,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Positive = 1e-8,
    weight_decay: WeightDecay = 1e-2,
    mask: Mask = None,
    *,
    batch_axes: BatchAxes = None,
) -> optax.GradientTransformationExtraArgs:
    """Adam with weight decay that is not scaled by the gradients' size.

    `adam` where the model overfits: a penalty in the loss would shrink most what moves least.

        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        m^ = m / (1 - b1^t),    v^ = v / (1 - b2^t)
        theta <- theta - eta (m^ / (sqrt(v^) + eps) + lambda theta)

    Args:
      learning_rate: eta > 0, a number, a traced array or a schedule of the step.
      b1: 0 <= b1 < 1, decay of the first moment.
      b2: 0 <= b2 < 1, decay of the second moment.
      eps: > 0, added to the root.
      weight_decay: lambda >= 0, a number, a traced array or a schedule; a step shrinks by
        eta lambda.
      mask: which parameters decay: a pytree of bools, a prefix of one (True: all), or a function
        of the parameters that gives one; None for those of rank above 1.
      batch_axes: how many leading axes of a parameter number layers (`nn.scan`) or members, which
        are no part of its rank; a number, a pytree of numbers, a prefix of one, or a function of
        the parameters that gives one; None for 0.

    Returns:
      A transformation; state `AdamState(count, mean, square)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101, Algorithm 2, with
    alpha in the decay too, as all libraries have it.

    Differs from: optax, Keras and PyTorch decay every parameter unless told otherwise; their
    lambda is 1e-4, 4e-3 and 1e-2.
    """
    decays = masked(mask, batch_axes)
    scale = scale_by_adam(b1, b2, eps)

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del extra
        need_params("adamw", params)
        eta = value_at(learning_rate, state.count, learning_rate_scale)
        decay = decay_rates(weight_decay, decays, params, state.count)
        direction, new = scale.update(widen(grads), state)
        step = jax.tree.map(lambda d, p, lam: -eta * (d + lam * p), direction, widen(params), decay)
        return cast_like(step, grads), new

    return transformation(scale.init, update)
