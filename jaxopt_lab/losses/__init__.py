"""Losses and metrics: `(outputs, labels) -> one float32 value a sample`."""

from jaxopt_lab.losses._accuracy import accuracy
from jaxopt_lab.losses._softmax_cross_entropy import softmax_cross_entropy

LOSSES = {f.__name__: f for f in (softmax_cross_entropy,)}
METRICS = {f.__name__: f for f in (accuracy,)}

__all__ = ["LOSSES", "METRICS", "accuracy", "softmax_cross_entropy"]
