"""Columns of a table by what they are to predict."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_lab.plots.panels import Figure, panels, plain

_ACROSS = 4
_COLORS = 10  # of matplotlib's default cycle


def column_histograms(table: Mapping[str, Any]) -> Figure:
    """A panel a column: its histogram by class, or its values against a target of numbers.

    Args:
      table: `values` (N, F), NaN left out; `name`, F of them. Either `label` (N,) whole numbers and
        `class_name`, of which the first ten are drawn, or `target` (N,) and `target_name`; all are
        optional.

    Returns:
      A figure; it is empty where there are no columns.
    """
    values = np.asarray(table.get("values", np.zeros((0, 0))), np.float64)
    count = values.shape[1]
    if not count:
        return Figure(figsize=(4, 2), dpi=144)
    down = -(-count // _ACROSS)
    figure, axes = panels(_ACROSS * 2.6, down * 1.9 + 0.4, down, _ACROSS, squeeze=False)
    labels, target = table.get("label"), table.get("target")
    names = table.get("class_name", ())
    for i, panel in enumerate(axes.flat):
        if i >= count:
            panel.set_visible(False)
            continue
        column = values[:, i]
        known = np.isfinite(column)
        name = plain(table["name"][i]) if "name" in table else f"column {i}"
        panel.set_title(name, fontsize=8)
        panel.tick_params(labelsize=6)
        if not known.any():
            continue
        if target is not None:
            panel.plot(column[known], np.asarray(target)[known], ".", markersize=2, alpha=0.5)
            continue
        edges = np.histogram_bin_edges(column[known], bins=30)
        if labels is None:
            panel.hist(column[known], edges, alpha=0.7)
            continue
        for k, name in list(enumerate(names))[:_COLORS]:
            own = column[known & (np.asarray(labels) == k)]
            panel.hist(own, edges, histtype="step", linewidth=1, label=plain(name))
    if target is not None:
        for row in axes:
            row[0].set_ylabel(plain(table.get("target_name", "target")), fontsize=7)
    elif labels is not None and len(names):
        handles, texts = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, texts, fontsize=7, loc="outside lower center", ncols=5, frameon=False
        )
    return figure
