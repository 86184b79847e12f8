"""PyTorch's optimizers and schedulers: the same arguments and defaults, the same trajectory.

Here `params` is not an argument, as `init(params)` takes them. What changes how PyTorch computes,
not what (`foreach`, `fused`, `capturable`, `differentiable`), is not here; neither are parameter
groups, for which there is `optax.partition`. Complex parameters move as in PyTorch, their real and
imaginary parts by themselves; PyTorch's gradient is the conjugate of `jax.grad`'s.

Imports `optimizers`, `schedules`, `control` and `core`. Begin with `optimizer.py`: what all of them
do before their own step, and `_sgd.py`, a step.
"""

from jaxopt_lab.compat.torch._adadelta import Adadelta
from jaxopt_lab.compat.torch._adagrad import Adagrad
from jaxopt_lab.compat.torch._adam import Adam
from jaxopt_lab.compat.torch._adamw import AdamW
from jaxopt_lab.compat.torch._cosine_annealing_warm_restarts import CosineAnnealingWarmRestarts
from jaxopt_lab.compat.torch._cyclic_lr import CyclicLR
from jaxopt_lab.compat.torch._nadam import NAdam
from jaxopt_lab.compat.torch._one_cycle_lr import OneCycleLR
from jaxopt_lab.compat.torch._reduce_lr_on_plateau import ReduceLROnPlateau
from jaxopt_lab.compat.torch._rmsprop import RMSprop
from jaxopt_lab.compat.torch._sgd import SGD

OPTIMIZERS = {f.__name__: f for f in (SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, NAdam)}

SCHEDULERS = {
    f.__name__: f for f in (ReduceLROnPlateau, CyclicLR, CosineAnnealingWarmRestarts, OneCycleLR)
}

__all__ = [
    "OPTIMIZERS",
    "SCHEDULERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "NAdam",
    "OneCycleLR",
    "RMSprop",
    "ReduceLROnPlateau",
]
