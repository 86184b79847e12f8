"""Losses, metrics and penalties.

A loss or a metric is `(outputs, labels) -> one value a sample`, a penalty
`params -> one value`, float32 or wider; `jensen_shannon` compares outputs with each other,
`expected_calibration_error` is one value of a whole data set. The samplers `categorical`, `normal`
and `bernoulli` draw labels from the distributions that losses are the negative logarithm of.
Imports `core` only. Begin with `targets.py`: the forms that labels come in.
"""

from jaxopt_lab.losses._accuracy import accuracy
from jaxopt_lab.losses._elastic_net import elastic_net
from jaxopt_lab.losses._expected_calibration_error import expected_calibration_error
from jaxopt_lab.losses._hinge import hinge
from jaxopt_lab.losses._jensen_shannon import jensen_shannon
from jaxopt_lab.losses._l1 import l1
from jaxopt_lab.losses._l2 import l2
from jaxopt_lab.losses._logistic import logistic
from jaxopt_lab.losses._softmax_cross_entropy import softmax_cross_entropy
from jaxopt_lab.losses._squared_error import squared_error
from jaxopt_lab.losses.samplers import bernoulli, categorical, normal

LOSSES = {f.__name__: f for f in (softmax_cross_entropy, squared_error, logistic, hinge)}
METRICS = {f.__name__: f for f in (accuracy,)}
PENALTIES = {f.__name__: f for f in (l1, l2, elastic_net)}

__all__ = [
    "LOSSES",
    "METRICS",
    "PENALTIES",
    "accuracy",
    "bernoulli",
    "categorical",
    "elastic_net",
    "expected_calibration_error",
    "hinge",
    "jensen_shannon",
    "l1",
    "l2",
    "logistic",
    "normal",
    "softmax_cross_entropy",
    "squared_error",
]
