"""Adam with decoupled weight decay."""

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.core.averages import bias_correction, moving_average
from jaxopt_lab.core.mask import Mask
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.core.tree import cast_like, widen, zeros_accumulator
from jaxopt_lab.optimizers._adam import AdamState
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

    Returns:
      A transformation; state `AdamState(count, mean, square)`; `update` needs `params`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101, Algorithm 2, with
    alpha in the decay too, as all libraries have it.

    Differs from: optax, Keras and PyTorch decay every parameter unless told otherwise; their
    lambda is 1e-4, 4e-3 and 1e-2.
    """

    def init(params):
        zeros = zeros_accumulator
        return AdamState(jnp.zeros([], jnp.int32), mean=zeros(params), square=zeros(params))

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del extra
        need_params("adamw", params)
        eta = value_at(learning_rate, state.count, learning_rate_scale)
        decay = decay_rates(weight_decay, mask, params, state.count)
        count = optax.safe_increment(state.count)
        c1, c2 = bias_correction(b1, count), bias_correction(b2, count)
        g, theta = widen(grads), widen(params)
        m = jax.tree.map(lambda m, g: moving_average(b1, m, g), state.mean, g)
        v = jax.tree.map(lambda v, g: moving_average(b2, v, g * g), state.square, g)
        step = jax.tree.map(
            lambda m, v, p, lam: -eta * ((m / c1) / (jnp.sqrt(v / c2) + eps) + lam * p),
            m,
            v,
            theta,
            decay,
        )
        return cast_like(step, grads), AdamState(count, m, v)

    return optax.GradientTransformationExtraArgs(init, update)
