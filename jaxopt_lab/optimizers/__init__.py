"""First-order optimizers, one `GradientTransformationExtraArgs` a file."""

from jaxopt_lab.optimizers._adam import adam
from jaxopt_lab.optimizers._momentum import momentum
from jaxopt_lab.optimizers._sgd import sgd

OPTIMIZERS = {f.__name__: f for f in (sgd, momentum, adam)}

__all__ = ["OPTIMIZERS", "adam", "momentum", "sgd"]
