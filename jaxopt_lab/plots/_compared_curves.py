"""A metric of several runs over each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_lab.plots.curves import look_past_the_beginning
from jaxopt_lab.plots.panels import Figure, panel, plain

MOST_LABELS = 12
"""Beyond so many the legend hides the curves."""


def compared_curves(runs: Mapping[str, Any]) -> Figure:
    """A curve a run, a color a label: of several runs of one label their mean, and each faintly.

    Args:
      runs: `x` and `y`, an array of each a run; `label`, one a run; `x_name` and `name`, of the
        axes; `log`, whether y is drawn on a log scale where it is positive.

    Returns:
      A figure; it holds an empty axis where nothing is given.
    """
    figure, axes = panel(plain(runs.get("x_name", "")), plain(runs.get("name", "")))
    curves = list(zip(runs.get("label", ()), runs.get("x", ()), runs.get("y", ()), strict=True))
    labels = list(dict.fromkeys(label for label, _, _ in curves))
    for k, label in enumerate(labels):
        own = [(np.asarray(x), np.asarray(y, float)) for name, x, y in curves if name == label]
        if len(own) > 1:
            for x, y in own:
                axes.plot(x, y, color=f"C{k % 10}", alpha=0.25, linewidth=0.8)
        x, y = _mean(own)
        axes.plot(x, y, color=f"C{k % 10}", linewidth=1.8, label=plain(label))
    values = np.concatenate([np.zeros(0), *(np.asarray(y, float) for _, _, y in curves)])
    finite = values[np.isfinite(values)]
    if runs.get("log") and len(finite) and finite.min() > 0:
        axes.set_yscale("log")
    else:
        look_past_the_beginning(axes)
    if 0 < len(labels) <= MOST_LABELS:
        axes.legend(frameon=False, fontsize=8)
    return figure


def _mean(curves: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of curves at the places that all of them have."""
    common = curves[0][0]
    for x, _ in curves[1:]:
        common = np.intersect1d(common, x)
    return common, np.mean([y[np.isin(x, common)] for x, y in curves], axis=0)
