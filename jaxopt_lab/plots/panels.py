"""Figures with bare axes, which is how every plot here begins."""

import io
import warnings
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes

_PAGE = 96  # pixels of a page to the inch, by the definition of CSS


class Figure(matplotlib.figure.Figure):
    """A figure that a notebook shows as it is, twice as fine as the page.

    With `%matplotlib inline` IPython draws it in its own way, and once too.
    """

    def savefig(self, *where: Any, **how: Any) -> None:
        """As Matplotlib's; letters that the font has not are boxes, and no warning each."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
            super().savefig(*where, **how)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=2 * _PAGE)
        width, height = (int(_PAGE * inches) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


def bare(axes: Axes) -> None:
    """A light grid, and two spines of the four."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def plain(text: object) -> str:
    """A name from outside as it is written; control characters are spaces.

    A class may be called "$x_$", which Matplotlib would set as mathematics, or refuse.
    """
    shown = "".join(c if c.isprintable() or c == "\n" else " " for c in str(text))
    return shown.replace("$", r"\$")


def panels(width: float, height: float, rows: int = 1, columns: int = 1, **how: Any) -> Any:
    """A figure, in inches, and its axes, which are one or an array of them.

    Args:
      width, height: of the figure.
      rows, columns: of panels.
      how: what else `Figure.subplots` takes, such as `sharex`.
    """
    figure = Figure(figsize=(width, height), dpi=144, layout="constrained")
    axes = figure.subplots(rows, columns, **how)
    for one in np.ravel(axes):
        bare(one)
    return figure, axes


def panel(x: str, y: str, *, height: float = 3.9) -> tuple[Figure, Axes]:
    """A figure of one panel, and its axes with these labels."""
    figure, axes = panels(6.4, height)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes
