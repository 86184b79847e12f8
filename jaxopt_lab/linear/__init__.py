"""Linear models: closed forms, regularized empirical risk, and feature maps for them.

A solver is `(X, y, ...) -> LinearModel`, or for `fit` a model with a certificate; `predict` gives
its outputs, which `r2`, `losses.accuracy` and `losses.squared_error` score. Imports `core`,
`linalg`, `problems` and `losses` at most. Begin with `model.py`, then `_ridge.py`.
"""

from jaxopt_lab.linear._fit import Fit, fit
from jaxopt_lab.linear._fourier import fourier
from jaxopt_lab.linear._ols import ols
from jaxopt_lab.linear._polynomial import polynomial
from jaxopt_lab.linear._r2 import r2
from jaxopt_lab.linear._ridge import ridge
from jaxopt_lab.linear._ridge_path import ridge_path
from jaxopt_lab.linear._tikhonov import tikhonov
from jaxopt_lab.linear.model import LinearModel, predict
from jaxopt_lab.linear.selection import best_strength, score

SOLVERS = {f.__name__: f for f in (ols, ridge, tikhonov, ridge_path, fit)}
FEATURES = {f.__name__: f for f in (polynomial, fourier)}

__all__ = [
    "FEATURES",
    "SOLVERS",
    "Fit",
    "LinearModel",
    "best_strength",
    "fit",
    "fourier",
    "ols",
    "polynomial",
    "predict",
    "r2",
    "ridge",
    "ridge_path",
    "score",
    "tikhonov",
]
