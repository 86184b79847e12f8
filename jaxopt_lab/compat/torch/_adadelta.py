"""PyTorch's Adadelta."""

import optax

from jaxopt_lab import optimizers
from jaxopt_lab.compat.torch.optimizer import torch_optimizer
from jaxopt_lab.core.ranges import LearningRate, OpenDecay, Positive, checked
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
def Adadelta(
    lr: LearningRate = 1.0,
    rho: OpenDecay = 0.9,
    eps: Positive = 1e-6,
    weight_decay: WeightDecay = 0.0,
    *,
    maximize: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's Adadelta.

        E <- rho E + (1 - rho) g^2,    d = g sqrt(X + eps) / sqrt(E + eps)
        X <- rho X + (1 - rho) d^2,    theta <- theta - eta d

    Args:
      lr: eta > 0, a number, a traced array or a schedule of the step.
      rho: 0 < rho < 1, decay of the averages.
      eps: > 0, under both roots.
      weight_decay: lambda >= 0, added to the gradient as lambda theta, of every parameter.
      maximize: static; whether to climb.

    Returns:
      A transformation; state `optimizers.AdadeltaState`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `torch.optim.Adadelta`; the step is `optimizers.adadelta`.
    """
    step = optimizers.adadelta(lr, rho, eps)
    return torch_optimizer("Adadelta", step, maximize=maximize, weight_decay=weight_decay)
