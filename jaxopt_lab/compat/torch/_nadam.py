"""PyTorch's NAdam."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.torch.adam_form import shrink
from jaxopt_lab.compat.torch.optimizer import torch_optimizer
from jaxopt_lab.core.averages import exact_bias_correction, moving_average
from jaxopt_lab.core.norm import root
from jaxopt_lab.core.ranges import Decay, LearningRate, NonNegative, Positive, checked
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import transformation
from jaxopt_lab.core.tree import cast_like, widen
from jaxopt_lab.optimizers.moments import momentum_at
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
def NAdam(
    lr: LearningRate = 2e-3,
    betas: Sequence[Decay] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: WeightDecay = 0.0,
    momentum_decay: NonNegative = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    maximize: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's NAdam.

        theta <- theta (1 - eta lambda)                        decoupled_weight_decay
        mu_t = b1 (1 - 1/2 0.96^(t psi)),    psi = momentum_decay
        m <- b1 m + (1 - b1) g,    v <- b2 v + (1 - b2) g^2
        m^ = mu_{t+1} m / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) g / (1 - mu_1 ... mu_t)
        theta <- theta - eta m^ / (sqrt(v / (1 - b2^t)) + eps)

    Args:
      lr: eta > 0, a number, a traced array or a schedule of the step.
      betas: decays of the two moments, 0 <= beta < 1; the first is the limit of mu too.
      eps: > 0, added to the root.
      weight_decay: lambda >= 0, added to the gradient as lambda theta, or decoupled.
      momentum_decay: psi >= 0, speed of the momentum's warm-up, a step.
      decoupled_weight_decay: static.
      maximize: static; whether to climb.

    Returns:
      A transformation; state `optimizers.NadamState`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `torch.optim.NAdam`.

    Differs from: `optimizers.nadam` has 1 - b2^t in float32, this to the last digit, as PyTorch.
    PyTorch keeps the product of its mu_t in its own default dtype: float64 parameters there are off
    by 1e-10 unless `torch.set_default_dtype(torch.float64)`.
    """
    b1, b2 = betas
    decoupled, coupled = (weight_decay, 0.0) if decoupled_weight_decay else (0.0, weight_decay)

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del extra
        eta = value_at(lr, state.count, learning_rate_scale)
        count = optax.safe_increment(state.count)
        t = jnp.asarray(count, float)
        mu, next_mu = (momentum_at(b1, momentum_decay, t + k) for k in (0, 1))
        product = (state.product * mu).astype(float)
        of_mean, of_grad = next_mu / (1 - product * next_mu), (1 - mu) / (1 - product)
        c2 = exact_bias_correction(b2, count)
        g = widen(grads)
        m = jax.tree.map(lambda m, g: moving_average(b1, m, g), state.mean, g)
        v = jax.tree.map(lambda v, g: moving_average(b2, v, g * g), state.square, g)
        step = jax.tree.map(
            lambda g, m, v: -eta * (of_mean * m + of_grad * g) / (root(v / c2) + eps), g, m, v
        )
        step = shrink(step, params, eta, decoupled, state.count)
        return cast_like(step, grads), optimizers.NadamState(count, product, m, v)

    step = transformation(optimizers.nadam(lr).init, update)
    return torch_optimizer("NAdam", step, maximize=maximize, weight_decay=coupled)
