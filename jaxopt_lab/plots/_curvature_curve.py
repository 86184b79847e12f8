"""The largest eigenvalue and the noise scale of a run over its steps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jaxopt_lab.plots.curves import TRAIN, VALIDATION
from jaxopt_lab.plots.panels import Figure, panels


def curvature_curve(history: Mapping[str, np.ndarray]) -> Figure:
    """The Hessian's largest eigenvalue beside 2 / learning rate, and below it the noise scale.

    Above 2 / eta gradient descent on a quadratic diverges. On a network with the whole training
    split as its batch the eigenvalue rises to that line and stays about it: the edge of stability.
    Momentum and adaptive methods have edges of their own, which are not drawn.

    Args:
      history: columns `step`, `top_eigenvalue` and `noise_scale`, NaN where they were not measured,
        and `learning_rate`. All optional.

    Returns:
      A figure; its axes are empty where no column is there.

    Reference: Cohen et al., 2021, https://arxiv.org/abs/2103.00065
    """
    figure, (above, below) = panels(6.4, 5.0, 2, sharex=True, height_ratios=(3, 2))
    above.set_ylabel("largest eigenvalue")
    below.set_ylabel("noise scale, samples")
    below.set_xlabel("step")
    values = _measured(above, history, "top_eigenvalue", TRAIN, "of the Hessian")
    _measured(below, history, "noise_scale", VALIDATION, "noise scale")
    rate = np.asarray(history.get("learning_rate", ()), float)
    if len(values) and np.any(rate > 0):
        edge = 2 / np.where(rate > 0, rate, np.nan)
        above.plot(history["step"], edge, color="0.3", linestyle="--", label="2 / learning rate")
        # Where a schedule ends at zero its edge is far above all that is of interest.
        top = np.nanmax([np.max(np.abs(values)), np.nanmin(edge)])
        above.set_ylim(min(0, values.min()) * 1.1, 1.3 * top)
        above.legend(frameon=False)
    if below.lines:
        below.set_yscale("log")
    return figure


def _measured(
    axes: Axes, history: Mapping[str, Any], name: str, color: str, label: str
) -> np.ndarray:
    """Draw a column where it was measured; the values that were drawn."""
    values = np.asarray(history.get(name, ()), float)
    there = np.flatnonzero(np.isfinite(values))
    marker = "o" if len(there) <= 60 else None
    if len(there):
        step = np.asarray(history["step"])[there]
        axes.plot(step, values[there], color=color, marker=marker, markersize=3, label=label)
    return values[there]
