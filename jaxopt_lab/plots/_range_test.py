"""The loss of a run whose learning rate grows."""

from collections.abc import Mapping

import numpy as np

from jaxopt_lab.plots.curves import TRAIN
from jaxopt_lab.plots.panels import Figure, panel

COLORS = ("#E45756", "#54A24B", "#B279A2")


def range_test(test: Mapping[str, object]) -> Figure:
    """Smith's range test: the smoothed loss against the rate, and the suggested rates.

    Args:
      test: `rates` (steps,), `smooth` (seeds, steps), NaN where a seed had diverged; `losses` of
        the same shape, drawn faint; `suggestions` {rule: rate}.

    Returns:
      A figure: the mean over the seeds, and a band from the least to the most.

    Reference: Smith, 2017, https://arxiv.org/abs/1506.01186.
    """
    figure, axes = panel("learning rate", "training loss, smoothed")
    rates = np.asarray(test.get("rates", np.zeros(0)))
    smooth = np.atleast_2d(np.asarray(test.get("smooth", np.zeros((0, 0)))))
    there = np.isfinite(smooth).any(0) if smooth.size else np.zeros(0, bool)
    if not there.any():
        return figure
    rates, smooth = rates[there], smooth[:, there]
    losses = np.atleast_2d(np.asarray(test.get("losses", smooth)))
    for line in losses[:, there] if losses.shape[-1] == len(there) else ():
        axes.plot(rates, line, color=TRAIN, alpha=0.15, linewidth=0.7)
    axes.plot(rates, smooth.mean(0), color=TRAIN, linewidth=1.8)  # ends with the first to diverge
    if len(smooth) > 1:
        low, high = np.nanmin(smooth, 0), np.nanmax(smooth, 0)
        axes.fill_between(rates, low, high, color=TRAIN, alpha=0.25, linewidth=0)
    suggestions = test.get("suggestions", {})
    if isinstance(suggestions, Mapping):
        for color, (rule, rate) in zip(COLORS, suggestions.items(), strict=False):
            if np.isfinite(rate):
                label = f"{rule} {rate:.2g}"
                axes.axvline(rate, color=color, linestyle="--", linewidth=1.3, label=label)
    axes.set_xscale("log")
    top = np.nanmax(smooth[:, : max(1, len(rates) // 4)])
    bottom = np.nanmin(smooth)
    axes.set_ylim(max(0, bottom - 0.1 * (top - bottom)), max(top, bottom) * 1.35 + 1e-9)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return figure
