"""PyTorch's Adagrad."""

import jax
import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.rates import inverse_time
from jaxopt_lab.compat.torch.optimizer import torch_optimizer
from jaxopt_lab.core.norm import root
from jaxopt_lab.core.ranges import LearningRate, NonNegative, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
def Adagrad(
    lr: LearningRate = 1e-2,
    lr_decay: NonNegative = 0.0,
    weight_decay: WeightDecay = 0.0,
    initial_accumulator_value: NonNegative = 0.0,
    eps: Positive = 1e-10,
    *,
    maximize: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's Adagrad.

        G <- G + g^2
        theta <- theta - eta / (1 + lr_decay (t - 1)) g / (sqrt(G) + eps)        t from 1

    Args:
      lr: eta > 0, a number, a traced array or a schedule of the step.
      lr_decay: >= 0, how fast eta falls, a step.
      weight_decay: lambda >= 0, added to the gradient as lambda theta, of every parameter.
      initial_accumulator_value: G_0 >= 0.
      eps: > 0, added to the root.
      maximize: static; whether to climb.

    Returns:
      A transformation; state `optimizers.AdagradState`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `torch.optim.Adagrad`.

    Differs from: `optimizers.adagrad` has epsilon under the root.
    """
    rate = inverse_time(lr, lr_decay)

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del params, extra
        eta = value_at(rate, state.count, learning_rate_scale)
        g = widen(grads)
        total = jax.tree.map(lambda s, g: s + g * g, state.total, g)
        step = jax.tree.map(lambda s, g: -eta * g / (root(s) + eps), total, g)
        count = optax.safe_increment(state.count)
        return cast_like(step, grads), optimizers.AdagradState(count, total)

    init = optimizers.adagrad(lr, initial_accumulator_value=initial_accumulator_value).init
    step = transformation(init, update)
    return torch_optimizer("Adagrad", step, maximize=maximize, weight_decay=weight_decay)
