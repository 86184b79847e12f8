"""Dead units and saturation, layer by layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from jaxopt_lab.plots.panels import Figure, plain

# Told apart by brightness and hatching, so in black and white too.
DEAD = {"color": "#B03A00", "label": "dead: flat for every sample"}
SATURATED = {
    "facecolor": "#F3DDB3", "edgecolor": "#8A6D1F", "hatch": "///", "linewidth": 0.8,
    "label": "flat, of units times samples",
}  # fmt: skip
HEIGHT = 0.38  # of a bar, where a layer has 1


def activation_fractions(health: Mapping[str, Any]) -> Figure:
    """The fraction of dead units and of flat responses, two bars a layer, the input on top.

    Of ReLU about half of the responses are flat in health; of tanh and sigmoid few are. Layers
    without an activation are left out.

    Args:
      health: `dead` and `saturated`, (A,) each; and `layers` and `names`, A of each, for the
        labels; the text `title`. `vars()` of an `ActivationHealth` is such a mapping.

    Returns:
      A figure; its axes are empty where nothing is given.
    """
    dead = np.asarray(health.get("dead", np.zeros(0)), float)
    flat = np.asarray(health.get("saturated", np.full(len(dead), np.nan)), float)
    layers = [str(v) for v in health.get("layers", range(1, len(dead) + 1))]
    names = [str(v) for v in health.get("names", [""] * len(dead))]
    shown = [i for i in range(len(dead)) if names[i] != "none"]
    figure = Figure(
        figsize=(6.8, 1.6 + 0.42 * min(max(len(shown), 4), 30)), dpi=144, layout="constrained"
    )
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("fraction")
    if "title" in health:
        axes.set_title(plain(health["title"]))
    if not shown:
        axes.set_yticks([])
        return figure
    at = np.arange(len(shown))
    axes.barh(at - HEIGHT / 2, dead[shown], HEIGHT, **DEAD)
    axes.barh(at + HEIGHT / 2, flat[shown], HEIGHT, **SATURATED)
    # A layer without dead units has a bar of no length, which is not a bar that is missing.
    for y, value in zip(at - HEIGHT / 2, dead[shown], strict=True):
        if np.isfinite(value) and len(shown) <= 30:
            axes.annotate(
                f"{value:.0%}", (value, y), (3, 0), textcoords="offset points", va="center",
                fontsize=8, color=DEAD["color"],
            )  # fmt: skip
    labels = [plain(f"{layers[i]}, {names[i]}" if names[i] else layers[i]) for i in shown]
    step = -(-len(shown) // 40)
    axes.set_yticks(at[::step], labels[::step])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure
