"""First-order optimizers, one `GradientTransformationExtraArgs` a file, with its `scale_by_*`.

The methods of the course are written out, equation beside code; modern ones come from optax through
`from_optax.py`. Second moments are of |g|^2, also for complex parameters, as in optax; the gradient
that descends is the conjugate of `jax.grad`'s.

Imports `core`, `linalg`, `problems` and `losses` at most. Begin with `_adam.py`.
"""

from jaxopt_lab.optimizers._adabelief import adabelief
from jaxopt_lab.optimizers._adadelta import AdadeltaState, adadelta, scale_by_adadelta
from jaxopt_lab.optimizers._adagrad import AdagradState, adagrad, scale_by_adagrad
from jaxopt_lab.optimizers._adam import AdamState, adam, scale_by_adam
from jaxopt_lab.optimizers._adamw import adamw
from jaxopt_lab.optimizers._adan import adan
from jaxopt_lab.optimizers._ademamix import ademamix
from jaxopt_lab.optimizers._lamb import lamb
from jaxopt_lab.optimizers._lars import lars
from jaxopt_lab.optimizers._lion import lion
from jaxopt_lab.optimizers._momentum import MomentumState, momentum, scale_by_momentum
from jaxopt_lab.optimizers._muon import muon
from jaxopt_lab.optimizers._nadam import NadamState, nadam, scale_by_nadam
from jaxopt_lab.optimizers._nadamw import nadamw
from jaxopt_lab.optimizers._nesterov import (
    NesterovState,
    nesterov,
    nesterov_iterate,
    scale_by_nesterov,
)
from jaxopt_lab.optimizers._prodigy import prodigy
from jaxopt_lab.optimizers._radam import radam
from jaxopt_lab.optimizers._rmsprop import rmsprop, scale_by_rmsprop
from jaxopt_lab.optimizers._sam import SAMState, sam
from jaxopt_lab.optimizers._schedule_free_adamw import schedule_free_adamw
from jaxopt_lab.optimizers._schedule_free_average import schedule_free_average
from jaxopt_lab.optimizers._schedule_free_sgd import schedule_free_sgd
from jaxopt_lab.optimizers._sgd import SGDState, sgd
from jaxopt_lab.optimizers.from_optax import FromOptaxState
from jaxopt_lab.optimizers.rms import RMSpropState

OPTIMIZERS = {
    f.__name__: f
    for f in (
        sgd,
        momentum,
        nesterov,
        adagrad,
        rmsprop,
        adadelta,
        adam,
        adamw,
        nadam,
        nadamw,
        lion,
        muon,
        schedule_free_sgd,
        schedule_free_adamw,
        prodigy,
        ademamix,
        lamb,
        lars,
        radam,
        adan,
        adabelief,
    )
}

__all__ = [
    "OPTIMIZERS",
    "AdadeltaState",
    "AdagradState",
    "AdamState",
    "FromOptaxState",
    "MomentumState",
    "NadamState",
    "NesterovState",
    "RMSpropState",
    "SAMState",
    "SGDState",
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamw",
    "adan",
    "ademamix",
    "lamb",
    "lars",
    "lion",
    "momentum",
    "muon",
    "nadam",
    "nadamw",
    "nesterov",
    "nesterov_iterate",
    "prodigy",
    "radam",
    "rmsprop",
    "sam",
    "scale_by_adadelta",
    "scale_by_adagrad",
    "scale_by_adam",
    "scale_by_momentum",
    "scale_by_nadam",
    "scale_by_nesterov",
    "scale_by_rmsprop",
    "schedule_free_adamw",
    "schedule_free_average",
    "schedule_free_sgd",
    "sgd",
]
