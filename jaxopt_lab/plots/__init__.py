"""Arrays in, a matplotlib `Figure` out."""

from jaxopt_lab.plots._curves import accuracy_curve, learning_rate_curve, loss_curve

PLOTS = {f.__name__: f for f in (loss_curve, accuracy_curve, learning_rate_curve)}

__all__ = ["PLOTS", "accuracy_curve", "learning_rate_curve", "loss_curve"]
