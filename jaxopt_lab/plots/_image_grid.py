"""Images in rows and columns, with a line of text below each."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_lab.plots.panels import Figure, plain


def image_grid(grid: Mapping[str, Any]) -> Figure:
    """A grid of images.

    Args:
      grid: `image` (rows, columns, H, W, C), uint8 or float in [0, 1], C of 1, 3 or 4; `title`, a
        line above each column; `row`, a line beside each row; `text`, rows of lines, one below each
        image. All are optional.

    Returns:
      A figure; it is empty where there are no images.
    """
    images = np.asarray(grid.get("image", np.zeros((0, 0, 1, 1, 1))))
    rows, columns = images.shape[:2]
    cell = 1.3
    figure = Figure(
        figsize=(max(1, columns) * cell, max(1, rows) * (cell + 0.25) + 0.4),
        dpi=144,
        layout="constrained",
    )
    if not rows or not columns:
        return figure
    cells = figure.subplots(rows, columns, squeeze=False)
    for i in range(rows):
        for j in range(columns):
            axes, image = cells[i, j], images[i, j]
            white = 255 if image.dtype == np.uint8 else 1
            shown = image[..., 0] if image.shape[-1] == 1 else image
            axes.imshow(shown, cmap="gray", vmin=0, vmax=white, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_color("0.8")
            if i == 0 and "title" in grid:
                axes.set_title(plain(grid["title"][j]), fontsize=7)
            if j == 0 and "row" in grid:
                axes.set_ylabel(plain(grid["row"][i]), fontsize=7)
            if "text" in grid:
                axes.set_xlabel(plain(grid["text"][i][j]), fontsize=6, labelpad=2)
    return figure
