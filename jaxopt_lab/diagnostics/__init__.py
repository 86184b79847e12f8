"""Answers about a run and its network: does it fit, why does it not train, what is around it.

Arrays out, verdicts in words, for any model and loss. May import `core`, `linalg`, `problems` and
`losses`. Begin with `_fit_verdict.py`, `activations.py` and `hessian.py`.
"""

from jaxopt_lab.diagnostics._activation_health import ActivationHealth, activation_health
from jaxopt_lab.diagnostics._bias_variance import BiasVariance, bias_variance
from jaxopt_lab.diagnostics._by_layer import by_layer
from jaxopt_lab.diagnostics._calibration import Calibration, calibration
from jaxopt_lab.diagnostics._filter_normalized import filter_normalized
from jaxopt_lab.diagnostics._first_use import first_use
from jaxopt_lab.diagnostics._fit_verdict import FitVerdict, fit_verdict
from jaxopt_lab.diagnostics._gradient_flow import GradientFlow, gradient_flow
from jaxopt_lab.diagnostics._hessian_spectrum import Spectrum, hessian_spectrum
from jaxopt_lab.diagnostics._interpolation import Interpolation, interpolation
from jaxopt_lab.diagnostics._judge_activation_health import judge_activation_health
from jaxopt_lab.diagnostics._judge_gradient_flow import judge_gradient_flow
from jaxopt_lab.diagnostics._keskar_sharpness import KeskarSharpness, keskar_sharpness
from jaxopt_lab.diagnostics._linear_mode_connectivity import Connectivity, linear_mode_connectivity
from jaxopt_lab.diagnostics._loss_surface import Surface, loss_surface
from jaxopt_lab.diagnostics._pca_plane import PCAPlane, pca_plane
from jaxopt_lab.diagnostics._restricted import Restricted, restricted
from jaxopt_lab.diagnostics._sam_sharpness import sam_sharpness
from jaxopt_lab.diagnostics._top_eigenvalues import TopEigenvalues, top_eigenvalues
from jaxopt_lab.diagnostics._trace import Trace, trace
from jaxopt_lab.diagnostics.hessian import mean_hessian, mean_loss
from jaxopt_lab.diagnostics.verdict import Verdict

__all__ = [
    "ActivationHealth",
    "BiasVariance",
    "Calibration",
    "Connectivity",
    "FitVerdict",
    "GradientFlow",
    "Interpolation",
    "KeskarSharpness",
    "PCAPlane",
    "Restricted",
    "Spectrum",
    "Surface",
    "TopEigenvalues",
    "Trace",
    "Verdict",
    "activation_health",
    "bias_variance",
    "by_layer",
    "calibration",
    "filter_normalized",
    "first_use",
    "fit_verdict",
    "gradient_flow",
    "hessian_spectrum",
    "interpolation",
    "judge_activation_health",
    "judge_gradient_flow",
    "keskar_sharpness",
    "linear_mode_connectivity",
    "loss_surface",
    "mean_hessian",
    "mean_loss",
    "pca_plane",
    "restricted",
    "sam_sharpness",
    "top_eigenvalues",
    "trace",
]
