"""Losses, metrics and penalties.

A loss is `(outputs, labels) -> one value a sample`, and so is a metric, or it declares that it is
one value of a whole split, `(outputs, labels, weight) -> scalar`; a penalty is
`params -> one value`; all are float32 or wider. `jensen_shannon` compares outputs with each other.
The samplers `categorical`, `normal`, `bernoulli` and `poisson` draw labels from the distributions
that losses are the negative logarithm of.
Imports `core` only. Begin with `targets.py`: the forms that labels come in.
"""

from jaxopt_lab.losses._absolute_error import absolute_error
from jaxopt_lab.losses._accuracy import accuracy
from jaxopt_lab.losses._auc import auc
from jaxopt_lab.losses._binary_cross_entropy import binary_cross_entropy
from jaxopt_lab.losses._confusion import confusion
from jaxopt_lab.losses._elastic_net import elastic_net
from jaxopt_lab.losses._error import error
from jaxopt_lab.losses._expected_calibration_error import expected_calibration_error
from jaxopt_lab.losses._f1 import f1
from jaxopt_lab.losses._focal import focal
from jaxopt_lab.losses._hinge import hinge
from jaxopt_lab.losses._huber import huber
from jaxopt_lab.losses._jensen_shannon import jensen_shannon
from jaxopt_lab.losses._l1 import l1
from jaxopt_lab.losses._l2 import l2
from jaxopt_lab.losses._logistic import logistic
from jaxopt_lab.losses._mae import mae
from jaxopt_lab.losses._poisson_nll import poisson_nll
from jaxopt_lab.losses._r2 import r2
from jaxopt_lab.losses._rmse import rmse
from jaxopt_lab.losses._softmax_cross_entropy import softmax_cross_entropy
from jaxopt_lab.losses._squared_error import squared_error
from jaxopt_lab.losses._subset_accuracy import subset_accuracy
from jaxopt_lab.losses._top_k_accuracy import top_k_accuracy
from jaxopt_lab.losses.samplers import bernoulli, categorical, normal, poisson

LOSSES = {
    f.__name__: f
    for f in (
        softmax_cross_entropy,
        squared_error,
        logistic,
        hinge,
        binary_cross_entropy,
        focal,
        absolute_error,
        huber,
        poisson_nll,
    )
}
METRICS = {
    f.__name__: f
    for f in (
        accuracy,
        top_k_accuracy,
        error,
        subset_accuracy,
        f1,
        auc,
        confusion,
        mae,
        rmse,
        r2,
    )
}
PENALTIES = {f.__name__: f for f in (l1, l2, elastic_net)}

__all__ = [
    "LOSSES",
    "METRICS",
    "PENALTIES",
    "absolute_error",
    "accuracy",
    "auc",
    "bernoulli",
    "binary_cross_entropy",
    "categorical",
    "confusion",
    "elastic_net",
    "error",
    "expected_calibration_error",
    "f1",
    "focal",
    "hinge",
    "huber",
    "jensen_shannon",
    "l1",
    "l2",
    "logistic",
    "mae",
    "normal",
    "poisson",
    "poisson_nll",
    "r2",
    "rmse",
    "softmax_cross_entropy",
    "squared_error",
    "subset_accuracy",
    "top_k_accuracy",
]
