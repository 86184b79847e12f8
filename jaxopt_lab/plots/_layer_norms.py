"""Norms of parameters, gradients and updates, layer by layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from jaxopt_lab.plots.panels import Figure, panels, plain

# Told apart by color (Okabe and Ito), by marker and by line, so in black and white too.
LINES = (
    ("param_rms", "parameters", "#0072B2", "s", "-"),
    ("grad_rms", "gradients", "#D55E00", "o", "--"),
    ("update_rms", "updates", "#009E73", "^", ":"),
)
# Beyond these many layers, or where a path is longer, the axis has their numbers.
MOST_LABELS, LONGEST_LABEL = 24, 28


def layer_norms(flow: Mapping[str, Any]) -> Figure:
    """Root mean squares by layer, from the input to the output, on a log scale.

    A gradient that falls to the left vanishes on its way to the input. A ring at the lower edge is
    a norm of 0, a cross at the upper one a norm that is not finite.

    Args:
      flow: `param_rms`, `grad_rms` and `update_rms`, (L,) each, of which any may be missing; and
        `layers`, L names; the text `title`. `vars()` of a `GradientFlow` is such a mapping.

    Returns:
      A figure; its axes are empty where nothing is given.

    Reference: Okabe and Ito, 2008, https://jfly.uni-koeln.de/color/ (the colors).
    """
    figure, axes = panels(7.2, 4.2)
    axes.set_ylabel("root mean square")
    axes.set_yscale("log")
    if "title" in flow:
        axes.set_title(plain(flow["title"]))
    lines = [
        (np.asarray(flow[name], float), *style)
        for name, *style in LINES
        if name in flow and np.size(flow[name]) and not np.all(np.isnan(flow[name]))
    ]
    if not lines:
        axes.set_xlabel("layer")
        return figure
    count = max(len(values) for values, *_ in lines)
    for values, label, color, marker, dashes in lines:
        shown = np.where((values > 0) & np.isfinite(values), values, np.nan)
        style = {"color": color, "marker": marker, "linestyle": dashes}
        size = 5 if count <= 40 else 2.5
        axes.plot(np.arange(count), shown, label=label, linewidth=1.5, markersize=size, **style)
        edges = axes.get_xaxis_transform()  # x in layers, y from the lower edge to the upper
        for where, y, mark in ((values == 0, 0.0, "o"), (~np.isfinite(values), 1.0, "x")):
            x = np.flatnonzero(where)
            hollow = {"markerfacecolor": "none", "clip_on": False, "markersize": 7}
            axes.plot(x, np.full(len(x), y), mark, color=color, transform=edges, zorder=4, **hollow)
    _name_layers(axes, [plain(name) for name in flow.get("layers", ())], count)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure


def _name_layers(axes: Axes, names: list[str], count: int) -> None:
    axes.set_xlim(-0.5, count - 0.5)
    if len(names) == count <= MOST_LABELS and max(map(len, names)) <= LONGEST_LABEL:
        axes.set_xticks(range(count), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_xlabel("layer, from input to output")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("number of the layer, from input to output")
