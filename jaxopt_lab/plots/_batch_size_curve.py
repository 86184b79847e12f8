"""The loss against the batch size, and the gradient noise scale beside it."""

from collections.abc import Mapping

import numpy as np

from jaxopt_lab.plots.curves import TRAIN, VALIDATION
from jaxopt_lab.plots.panels import Figure, panels, plain


def batch_size_curve(scan: Mapping[str, object]) -> Figure:
    """The loss against the batch size, and the gradient noise scale beside it.

    Below the noise scale a batch twice as large saves nearly half of the steps; above it, few.

    Args:
      scan: `batch_size` (S,), `score` (S,), `score_name`, `noise_scale` (S,) in samples; perhaps
        `at_least` (S,), what it is at least where it is not known and NaN.

    Returns:
      A figure of two panels; the dashed line is where noise scale and batch size are equal.

    Reference: McCandlish et al., 2018, https://arxiv.org/abs/1812.06162.
    """
    figure, (left, right) = panels(8.4, 3.6, columns=2)
    size = np.asarray(scan.get("batch_size", np.zeros(0)), float)
    both = (
        (left, "score", plain(scan.get("score_name", "loss")), TRAIN),
        (right, "noise_scale", "gradient noise scale, samples", VALIDATION),
    )
    for axes, name, label, color in both:
        axes.set_xlabel("batch size")
        axes.set_ylabel(label)
        values = np.asarray(scan.get(name, np.zeros(0)), float)
        if len(values) and len(values) == len(size):
            axes.plot(size, values, color=color, marker="o", markersize=4)
            axes.set_xscale("log", base=2)
            if np.all(values[np.isfinite(values)] > 0):
                axes.set_yscale("log")
    least = np.asarray(scan.get("at_least", np.full(len(size), np.nan)), float)
    if np.isfinite(least).any():
        right.plot(size, least, "^", color=VALIDATION, fillstyle="none", label="larger than this")
        right.set_xscale("log", base=2)
        right.set_yscale("log")
    if len(size):
        right.plot(size, size, color="0.4", linestyle="--", linewidth=1, label="batch size")
        right.legend(frameon=False)
    return figure
