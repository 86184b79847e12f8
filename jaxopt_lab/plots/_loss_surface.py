"""A loss along one or two directions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from jaxopt_lab.plots.curves import TRAIN
from jaxopt_lab.plots.panels import Figure, bare, plain

LEVELS = 14
# Dark is low: the lightness falls evenly, so that gray prints keep the order.
SHADES = ("#3B5673", "#7F9BB8", "#C3D1E0", "#F6F8FA")
SMALLEST = 1e-3  # of the largest value: levels below are not told apart on a log scale


def loss_surface(surface: Mapping[str, Any]) -> Figure:
    """The contours of a loss in a plane, and a path on them; or its curve along a line.

    Levels are even on a log scale where all values are positive. Dark is low, labels tell the
    levels, and the path is black on white, so that neither colors nor a screen are needed.

    Args:
      surface: `x` (W,), `y` (H,) and `values` (H, W); or `x` (W,) and `values` (W,), or for several
        curves `{name: (W,)}`. `path` (T, 2) and `explained` (2,), of the variance, as `pca_plane`
        of the diagnostics gives them; the texts `title`, `xlabel`, `ylabel`. All optional.

    Returns:
      A figure; its axes are empty where no values are given. Values that are not finite stay white.

    Reference: Li et al., 2018, https://arxiv.org/abs/1712.09913
    """
    figure = Figure(figsize=(6.4, 5.2), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    values, x = surface.get("values"), np.asarray(surface.get("x", np.zeros(0)), float)
    if values is not None and (isinstance(values, Mapping) or np.ndim(values) == 1):
        figure.set_size_inches(6.4, 3.9)
        _curves(axes, x, values)
        xlabel, ylabel = "along the direction", "loss"
    else:
        xlabel, ylabel = "first direction", "second direction"
        if values is not None:
            _contours(axes, x, np.asarray(surface["y"], float), np.asarray(values, float))
    if "path" in surface and len(surface["path"]):
        _path(axes, np.asarray(surface["path"], float))
    if "explained" in surface:
        shares = 100 * np.asarray(surface["explained"], float)
        xlabel, ylabel = (
            f"{label} ({share:.3g} % of the variance)"
            for label, share in zip((xlabel, ylabel), shares, strict=False)
        )
    axes.set_xlabel(plain(surface.get("xlabel", xlabel)))
    axes.set_ylabel(plain(surface.get("ylabel", ylabel)))
    if "title" in surface:
        axes.set_title(plain(surface["title"]))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="best")
    return figure


def _contours(axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray) -> None:
    shown = np.ma.masked_invalid(values)
    there = values[np.isfinite(values)]
    low, high = there.min(initial=np.inf), there.max(initial=-np.inf)
    if not low < high:  # no contours
        axes.set_xlim(x.min(), x.max())
        axes.set_ylim(y.min(), y.max())
        return
    log = low > 0
    levels = (
        np.geomspace(max(low, SMALLEST * high), high, LEVELS)
        if log
        else np.linspace(low, high, LEVELS)
    )
    axes.contourf(
        x, y, shown, levels, cmap=LinearSegmentedColormap.from_list("shades", SHADES),
        norm="log" if log else None, extend="min",
    )  # fmt: skip
    lines = axes.contour(x, y, shown, levels, colors="0.25", linewidths=0.6)
    for text in axes.clabel(lines, levels[1::2], fontsize=7, fmt=lambda v: f"{v:.3g}"):
        text.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])
    if x.min() <= 0 <= x.max() and y.min() <= 0 <= y.max():
        star = {"marker": "*", "markersize": 14, "color": "white", "markeredgecolor": "black"}
        axes.plot(0, 0, linestyle="", zorder=5, label="center", **star)


def _path(axes: Axes, path: np.ndarray) -> None:
    around = [patheffects.withStroke(linewidth=3.5, foreground="white")]
    style = {"color": "black", "linewidth": 1.4, "marker": "o", "markersize": 3}
    axes.plot(path[:, 0], path[:, 1], label="path", zorder=4, path_effects=around, **style)
    start = {"marker": "s", "markersize": 7, "color": "white", "markeredgecolor": "black"}
    axes.plot(*path[0], linestyle="", zorder=5, label="start", **start)


def _curves(axes: Axes, x: np.ndarray, values: object) -> None:
    bare(axes)
    style = {"linewidth": 1.8, "marker": "o", "markersize": 3}
    if not isinstance(values, Mapping):
        axes.plot(x, np.asarray(values, float), color=TRAIN, **style)
        return
    styles = ("-", "--", ":", "-.")
    for i, (name, line) in enumerate(values.items()):
        style |= {"color": f"C{i % 10}", "linestyle": styles[i % len(styles)]}
        axes.plot(x, np.asarray(line, float), label=plain(name), **style)
