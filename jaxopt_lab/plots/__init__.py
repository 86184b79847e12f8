"""Arrays in, a matplotlib `Figure` out."""

from jaxopt_lab.plots._curves import accuracy_curve, learning_rate_curve, loss_curve
from jaxopt_lab.plots._image_grid import image_grid
from jaxopt_lab.plots._regularization_path import regularization_path

PLOTS = {
    f.__name__: f
    for f in (loss_curve, accuracy_curve, learning_rate_curve, regularization_path, image_grid)
}

__all__ = [
    "PLOTS",
    "accuracy_curve",
    "image_grid",
    "learning_rate_curve",
    "loss_curve",
    "regularization_path",
]
