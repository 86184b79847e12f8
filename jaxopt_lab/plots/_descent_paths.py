"""Paths of optimizers on the contours of a surface."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from jaxopt_lab.plots.panels import Figure, bare, plain

# Told apart by readers with any color vision (Okabe and Ito), and on a pale ground.
COLORS = ("#555555", "#D55E00", "#E69F00", "#009E73", "#0072B2", "#CC2F8B")
LEVELS = 18
SMALLEST = 1e-10  # of the objective: below are float32's last digits


def descent_paths(surface: Mapping[str, Any]) -> Figure:
    """The paths of several optimizers on one surface, and how fast each goes down.

    For a lecture: a wide figure, its legend names the methods in their order.

    Args:
      surface: `x` (W,), `y` (H,) and `z` (H, W), the surface, above 0; `paths`, `{name: (T, 2)}`,
        the points from the common start on; `values`, `{name: (T,)}`, the objective above its
        minimum there; `minimizer` (2,); and the texts `title`, `xlabel`, `ylabel`. All optional.

    Returns:
      A figure; its axes are empty where nothing is given.

    Reference: Okabe and Ito, 2008, https://jfly.uni-koeln.de/color/ (the colors).
    """
    figure = Figure(figsize=(12.8, 5.6), dpi=144, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(7, 5))
    if "z" in surface:
        z = np.asarray(surface["z"])
        high, low = z.max(), max(z[z > 0].min(), z.max() * 1e-5)
        levels = np.geomspace(low, high, LEVELS)
        left.contourf(surface["x"], surface["y"], z, levels, cmap=_pale(), norm="log", extend="min")
        left.contour(surface["x"], surface["y"], z, levels, colors="0.72", linewidths=0.5)
        left.set_xlim(np.min(surface["x"]), np.max(surface["x"]))
        left.set_ylim(np.min(surface["y"]), np.max(surface["y"]))
    for i, (name, path) in enumerate(surface.get("paths", {}).items()):
        style = {"color": COLORS[i % len(COLORS)], "linewidth": 1.8, "zorder": 3}
        if i == len(COLORS) - 1:  # the last may cover another: let it be seen through
            style["linestyle"] = (0, (3, 2))
        points = np.asarray(path)
        dots = {"marker": "o", "markersize": 3.2, "markeredgewidth": 0}
        left.plot(points[:, 0], points[:, 1], label=plain(name), alpha=0.9, **style, **dots)
        if name in surface.get("values", {}):
            values = np.asarray(surface["values"][name])
            shown = np.where(values > SMALLEST, values, np.nan)
            right.semilogy(np.arange(len(values)), shown, **style)
    if "minimizer" in surface:
        star = {"marker": "*", "markersize": 17, "color": "white", "markeredgecolor": "black"}
        left.plot(*surface["minimizer"], linestyle="", zorder=4, label="minimum", **star)
    left.set_xlabel(plain(surface.get("xlabel", "")))
    left.set_ylabel(plain(surface.get("ylabel", "")))
    right.set_xlabel("step")
    right.set_ylabel("objective above its minimum")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    bare(right)
    for axes in (left, right):
        axes.tick_params(labelsize=12)
        axes.xaxis.label.set_size(14)
        axes.yaxis.label.set_size(14)
    handles, labels = left.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(handles), frameon=False,
            fontsize=13,
        )  # fmt: skip
    if "title" in surface:
        figure.suptitle(plain(surface["title"]), fontsize=17)
    return figure


def _pale() -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("pale", ["#FFFFFF", "#E3EAF2", "#BFCDDD"])
