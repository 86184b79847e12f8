"""Figures on the disk, and images as files."""

import io
import pathlib
from typing import Any

import numpy as np

from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.files import write_atomically


def require_plots() -> None:
    """Make sure that figures can be drawn: told before the work, not after it.

    Raises:
      InputError: naming the extra where they cannot.
    """
    require("matplotlib", "lab")


def require_png_path(command: str, path: pathlib.Path, *, drawn: bool = True) -> None:
    """Make sure that a picture can be written and, where it is to be `drawn`, drawn.

    Raises:
      InputError: where the path names no PNG file, or one in a folder that is not there; where
        matplotlib is not.
    """
    if drawn:
        require_plots()
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


def pixels_png(pixels: np.ndarray, most: int = 224) -> bytes:
    """An image as the bytes of a PNG file.

    Args:
      pixels: (H, W, C), uint8 or floats in [0, 1], C of 1, 3 or 4; other floats are stretched to
        this range.
      most: pixels of its longer side; a larger one is made smaller.
    """
    from PIL import Image  # which matplotlib brings

    if pixels.dtype != np.uint8:
        low, high = float(np.min(pixels)), float(np.max(pixels))
        if low < 0 or high > 1:
            pixels = (pixels - low) / max(high - low, 1e-12)
        pixels = np.round(255 * np.asarray(pixels, np.float32)).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((most, most))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
