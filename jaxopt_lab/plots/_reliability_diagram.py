"""Accuracy against confidence."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_lab.plots.panels import Figure, panels

BAR = {"facecolor": "#9DBBD8", "edgecolor": "#1F4E79", "linewidth": 0.8}
GAP = {"facecolor": "none", "edgecolor": "#B03A00", "hatch": "////", "linewidth": 0.8}


def reliability_diagram(calibration: Mapping[str, Any]) -> Figure:
    """The accuracy of a classifier in bins of its confidence, and how many samples each bin has.

    The hatched part of a bar is the gap to the mean confidence of its samples: above the
    solid part where the classifier is too sure, and inside it where it is not sure enough.

    Args:
      calibration: `confidence`, `accuracy` and `count`, (M,) each, of M bins of equal width in
        [0, 1]; and, for the text, the scalars `ece` and `temperature`. `_asdict()` of a
        `Calibration` is such a mapping.

    Returns:
      A figure; its axes are empty where nothing is given.

    Reference: Guo et al., 2017, https://arxiv.org/abs/1706.04599, figure 1.
    """
    figure, (above, below) = panels(4.8, 5.6, 2, sharex=True, height_ratios=(4, 1))
    for axes in (above, below):
        axes.set_axisbelow(True)
    above.set_ylim(0, 1)
    above.set_xlim(0, 1)
    above.set_ylabel("accuracy")
    below.set_ylabel("samples")
    below.set_xlabel("confidence")
    above.plot([0, 1], [0, 1], color="0.3", linestyle="--", linewidth=1, label="perfect")
    if all(name in calibration for name in ("confidence", "accuracy", "count")):
        sure, right, count = (
            np.atleast_1d(np.asarray(calibration[name], float))
            for name in ("confidence", "accuracy", "count")
        )
        edges = np.arange(len(count)) / len(count)
        width = {"width": 1 / len(count), "align": "edge"}
        above.bar(edges, right, **width, **BAR, label="accuracy")
        above.bar(edges, sure - right, bottom=right, **width, **GAP, label="gap to confidence")
        below.bar(edges, count, **width, **BAR)
    text = [
        f"{label} {float(calibration[name]):.3g}"
        for name, label in (("ece", "ECE"), ("temperature", "temperature"))
        if name in calibration
    ]
    above.set_title(", ".join(text), fontsize=10)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, columnspacing=1.2)
    return figure
