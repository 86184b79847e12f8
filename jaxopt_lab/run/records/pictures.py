"""Figures on the disk."""

import pathlib
from typing import Any

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import write_atomically


def require_png_path(command: str, path: pathlib.Path) -> None:
    """Make sure that a picture can be written.

    Raises:
      InputError: where the path names no PNG file, or one in a folder that is not there.
    """
    if not path.parent.is_dir():
        raise InputError(f"{command}: {path.parent} is no folder; make it, or give another")
    if path.is_dir() or path.suffix != ".png":
        raise InputError(f"{command}: {path} must name a .png file")


def write_figure(path: pathlib.Path, figure: Any) -> bytes:
    """Write a matplotlib figure as a PNG file, and give its bytes."""
    from jaxopt_lab.plots import figure_png  # here: matplotlib takes long to import

    png = figure_png(figure)
    write_atomically(path, png)
    return png
