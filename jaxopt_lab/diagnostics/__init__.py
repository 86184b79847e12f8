"""Diagnoses of a network as arrays, pure and jittable, for any model and loss; verdicts in words.

Imports `core`, `linalg`, `problems` and `losses` only. Begin with `_gradient_flow.py`, then
`activations.py`, which finds the activations inside any function.
"""

from jaxopt_lab.diagnostics._activation_health import ActivationHealth, activation_health
from jaxopt_lab.diagnostics._bias_variance import BiasVariance, bias_variance
from jaxopt_lab.diagnostics._calibration import Calibration, calibration
from jaxopt_lab.diagnostics._gradient_flow import GradientFlow, gradient_flow
from jaxopt_lab.diagnostics._judge_activation_health import judge_activation_health
from jaxopt_lab.diagnostics._judge_gradient_flow import judge_gradient_flow
from jaxopt_lab.diagnostics.verdict import Verdict

__all__ = [
    "ActivationHealth",
    "BiasVariance",
    "Calibration",
    "GradientFlow",
    "Verdict",
    "activation_health",
    "bias_variance",
    "calibration",
    "gradient_flow",
    "judge_activation_health",
    "judge_gradient_flow",
]
