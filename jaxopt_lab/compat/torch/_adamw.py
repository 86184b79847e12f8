"""PyTorch's AdamW."""

from collections.abc import Sequence

import optax

from jaxopt_lab.compat.torch.adam_form import torch_adam
from jaxopt_lab.compat.torch.optimizer import torch_optimizer
from jaxopt_lab.core.ranges import Decay, LearningRate, Positive, checked
from jaxopt_lab.optimizers.weight_decay import WeightDecay


@checked
def AdamW(
    lr: LearningRate = 1e-3,
    betas: Sequence[Decay] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: WeightDecay = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """PyTorch's AdamW: its Adam with decoupled weight decay, of every parameter.

        theta <- theta (1 - eta lambda), then

        m <- b1 m + (1 - b1) g,    v <- b2 v + (1 - b2) g^2
        theta <- theta - eta m^ / (sqrt(v^) + eps)        m^, v^: divided by 1 - beta^t

        amsgrad:  the largest v so far in the place of v

    Args:
      lr: eta > 0, a number, a traced array or a schedule of the step.
      betas: decays of the two moments, 0 <= beta < 1.
      eps: > 0, added to the root.
      weight_decay: lambda >= 0, a number, a traced array or a schedule.
      amsgrad: static.
      maximize: static; whether to climb.

    Returns:
      A transformation; state `AdamState(count, mean, square, largest)`, the last None where there
      is no amsgrad.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `torch.optim.AdamW`.

    Differs from: `optimizers.adamw` as `Adam` from `optimizers.adam`, and in what decays.
    """
    b1, b2 = betas
    step = torch_adam(lr, b1, b2, eps, amsgrad=amsgrad, decoupled=weight_decay)
    return torch_optimizer("AdamW", step, maximize=maximize)
