"""Figures within what a notebook shows of an object."""

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from jaxopt_lab.core.notebook import picture, pictures

_WIDTH = 420  # on the page, at which a figure has more than twice the pixels


def plots(draw: Callable[[], Mapping[str, Any]]) -> str:
    """Figures by name, side by side; "" without matplotlib, where a table has to do."""
    if importlib.util.find_spec("matplotlib") is None:
        return ""
    from jaxopt_lab.plots import figure_png  # here: matplotlib takes long to import

    drawn = {name.replace("_", " "): figure_png(figure) for name, figure in draw().items()}
    return pictures(picture(name, png, width=_WIDTH) for name, png in drawn.items())
