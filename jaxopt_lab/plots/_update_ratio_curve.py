"""How large each layer's updates are beside its weights, over the steps of a run."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import LogLocator, NullLocator

from jaxopt_lab.plots.panels import Figure, panels, plain

RATIO, GRADIENT, CLIPPED = "update_ratio/", "grad_norm", "clipped_grad_norm"
# More names hide the curves: then a scale of colors stands for them.
MOST_NAMES = 12
RULE = 1e-3


def update_ratio_curve(history: Mapping[str, np.ndarray]) -> Figure:
    """Norm of the update over that of the weights, by layer, and below it the gradient's norm.

    A ratio near 1e-3, the dotted line, is a common rule of thumb; far above it training is
    unstable, far below it the layer stands still. A layer whose ratio is 0 has no curve.

    Args:
      history: columns `step`, `update_ratio/LAYER` of each layer, `grad_norm` and
        `clipped_grad_norm`, NaN where they were not measured. All optional.

    Returns:
      A figure; its axes are empty where no column is there.

    Reference: https://cs231n.github.io/neural-networks-3/#ratio (the rule of thumb).
    """
    figure, (above, below) = panels(6.4, 5.6, 2, sharex=True, height_ratios=(3, 2))
    above.set_ylabel("update / weights")
    below.set_ylabel("norm of the gradient")
    below.set_xlabel("step")
    for axes in (above, below):
        axes.set_yscale("log")
        # Minor ticks would take most of the time.
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.yaxis.set_major_formatter("{x:g}")
    names = [name for name in history if name.startswith(RATIO)]
    colors = matplotlib.colormaps["viridis"].resampled(max(len(names), 2))
    for i, name in enumerate(names):
        _draw(above, history, name, color=colors(i), label=plain(name.removeprefix(RATIO)))
    if above.lines:
        above.axhline(RULE, color="0.4", linestyle=":", linewidth=1)
        if len(names) <= MOST_NAMES:
            figure.legend(loc="outside right upper", frameon=False, fontsize="small")
        else:
            scale = ScalarMappable(Normalize(1, len(names)), colors)
            figure.colorbar(scale, ax=above, label="layer, by its place among the parameters")
    _draw(below, history, GRADIENT, color="0.2", label="as it comes")
    whole, clipped = (np.asarray(history.get(name, ()), float) for name in (GRADIENT, CLIPPED))
    if not np.array_equal(whole, clipped, equal_nan=True):
        _draw(below, history, CLIPPED, color="#E45756", label="as the optimizer gets it")
        below.legend(frameon=False)
    return figure


def _draw(axes, history: Mapping[str, np.ndarray], name: str, *, color, label: str) -> None:
    """A column where it was measured and a log scale has a place for it."""
    values = np.asarray(history.get(name, ()), float)
    there = np.flatnonzero(np.isfinite(values) & (values > 0))
    if len(there):
        marker = "o" if len(there) <= 60 else None
        step = np.asarray(history["step"])[there]
        style = {"color": color, "label": label, "linewidth": 1.4}
        axes.plot(step, values[there], marker=marker, markersize=3, **style)
