"""Arrays in, a matplotlib `Figure` out; `figure_png` makes bytes of it.

Imports NumPy and matplotlib only. Begin with `curves.py`.
"""

from collections.abc import Callable
from typing import Any

from jaxopt_lab.plots._activation_fractions import activation_fractions
from jaxopt_lab.plots._batch_size_curve import batch_size_curve
from jaxopt_lab.plots._column_histograms import column_histograms
from jaxopt_lab.plots._compared_curves import compared_curves
from jaxopt_lab.plots._confusion_matrix import confusion_matrix
from jaxopt_lab.plots._corruption_table import corruption_table
from jaxopt_lab.plots._curvature_curve import curvature_curve
from jaxopt_lab.plots._descent_paths import descent_paths
from jaxopt_lab.plots._figure_png import figure_png
from jaxopt_lab.plots._image_grid import image_grid
from jaxopt_lab.plots._layer_norms import layer_norms
from jaxopt_lab.plots._loss_surface import loss_surface
from jaxopt_lab.plots._predicted_against_true import predicted_against_true
from jaxopt_lab.plots._range_test import range_test
from jaxopt_lab.plots._regularization_path import regularization_path
from jaxopt_lab.plots._reliability_diagram import reliability_diagram
from jaxopt_lab.plots._spectral_density import spectral_density
from jaxopt_lab.plots._update_ratio_curve import update_ratio_curve
from jaxopt_lab.plots.curves import accuracy_curve, learning_rate_curve, loss_curve, metric_curve
from jaxopt_lab.plots.sweep import axes_heat_map, axis_curve, parallel_coordinates, run_curves

PLOTS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        loss_curve,
        accuracy_curve,
        learning_rate_curve,
        regularization_path,
        image_grid,
        column_histograms,
        descent_paths,
        axis_curve,
        axes_heat_map,
        parallel_coordinates,
        run_curves,
        range_test,
        batch_size_curve,
        curvature_curve,
        loss_surface,
        spectral_density,
        layer_norms,
        activation_fractions,
        reliability_diagram,
        metric_curve,
        predicted_against_true,
        confusion_matrix,
        compared_curves,
        corruption_table,
        update_ratio_curve,
    )
}

__all__ = [
    "PLOTS",
    "accuracy_curve",
    "activation_fractions",
    "axes_heat_map",
    "axis_curve",
    "batch_size_curve",
    "column_histograms",
    "compared_curves",
    "confusion_matrix",
    "corruption_table",
    "curvature_curve",
    "descent_paths",
    "figure_png",
    "image_grid",
    "layer_norms",
    "learning_rate_curve",
    "loss_curve",
    "loss_surface",
    "metric_curve",
    "parallel_coordinates",
    "predicted_against_true",
    "range_test",
    "regularization_path",
    "reliability_diagram",
    "run_curves",
    "spectral_density",
    "update_ratio_curve",
]
