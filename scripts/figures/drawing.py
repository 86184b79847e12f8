"""What the figures of the course share: how they look, and how one is written."""

import io
import pathlib
import sys
import time
from collections.abc import Callable, Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from jaxopt_lab.plots.panels import Figure, bare

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "figures"

# Told apart in gray too, with LINES; Okabe and Ito's, in an order of falling darkness.
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))

Figures = Mapping[str, Callable[[], Figure]]


def panels(columns: int, rows: int = 1, *, width: float = 3.2, height: float = 2.7, **how) -> tuple:
    """A figure and its axes, (rows, columns), each without the upper and the right spine."""
    size = (width * columns, height * rows)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **how)
    for one in axes.flat:
        bare(one)
    return figure, axes


def line(axes: Axes, i: int, x: np.ndarray, y: np.ndarray, label: str, **how) -> None:
    """Curve i of a panel, in a color and a dash of its own."""
    style = {"color": COLORS[i % len(COLORS)], "linestyle": LINES[i % len(LINES)], "linewidth": 1.6}
    axes.plot(x, y, label=label, **(style | how))


def write(figures: Figures, names: list[str] | None = None) -> None:
    """Make the figures that are named, or all, and say what each took.

    Args:
      figures: `{name: function that makes it}`.
      names: which of them; none for all.
    """
    matplotlib.use("Agg")
    FOLDER.mkdir(parents=True, exist_ok=True)
    if unknown := sorted(set(names or ()) - set(figures)):
        sys.exit(f"no figure {', '.join(unknown)}: there are {', '.join(figures)}")
    for name in names or figures:
        began = time.perf_counter()
        drawn = io.BytesIO()
        figures[name]().savefig(drawn)
        # 256 colors are enough for lines, in less than half of the bytes.
        Image.open(drawn).convert("RGB").quantize(256).save(FOLDER / f"{name}.png", optimize=True)
        print(f"{name}.png  {time.perf_counter() - began:.1f} s", flush=True)
