"""Which classes are taken for which."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_lab.plots.panels import Figure, panels, plain

MOST_NUMBERS = 20  # classes up to which each cell says its count
LONGEST = 24


def confusion_matrix(confusion: Mapping[str, Any]) -> Figure:
    """Counts of the true against the predicted class, shaded by the share of the true class.

    Args:
      confusion: `matrix`, (K, K), a row a true class and a column a predicted one; and perhaps
        `classes`, K names.

    Returns:
      A figure; its axes are empty where nothing is given.
    """
    matrix = np.asarray(confusion.get("matrix", np.zeros((0, 0))), float)
    count = len(matrix)
    side = min(9.0, 2.2 + 0.42 * max(count, 4))
    figure, axes = panels(side + 0.6, side)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if not count:
        return figure
    sums = matrix.sum(1, keepdims=True)
    share = np.divide(matrix, sums, out=np.zeros_like(matrix), where=sums > 0)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    names = [plain(_short(str(name))) for name in confusion.get("classes", range(count))]
    if count <= 2 * MOST_NUMBERS:
        turned = max(map(len, names)) > 2
        axes.set_xticks(
            range(count), names, rotation=45 * turned, ha="right" if turned else "center"
        )
        axes.set_yticks(range(count), names)
    if count <= MOST_NUMBERS:
        for i, j in zip(*np.nonzero(matrix), strict=True):
            color = "white" if share[i, j] > 0.5 else "0.2"
            text = f"{matrix[i, j]:.4g}"
            axes.text(j, i, text, ha="center", va="center", fontsize=8, color=color)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
