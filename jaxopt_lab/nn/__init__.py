"""Networks as Flax modules: `apply(variables, x, train=...)`."""

from jaxopt_lab.nn._cnn import cnn
from jaxopt_lab.nn._conv import Conv
from jaxopt_lab.nn._mlp import mlp

MODELS = {f.__name__: f for f in (mlp, cnn)}

__all__ = ["MODELS", "Conv", "cnn", "mlp"]
