"""How much a network loses under corruptions of its images."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_lab.plots.panels import Figure, panels, plain


def corruption_table(table: Mapping[str, Any]) -> Figure:
    """A score by corruption and severity, shaded, with the clean score above.

    Args:
      table: `scores`, `{"fog": (S,), ...}`, a value a severity from 1; `clean`, that of the images
        as they are; `name`, of the score; `share`, whether it is one, to be shown in percent.

    Returns:
      A figure; its axes are empty where nothing is given.

    Reference: Hendrycks and Dietterich, 2019, https://arxiv.org/abs/1903.12261, table 1.
    """
    scores = table.get("scores", {})
    names = sorted(scores, key=lambda name: -np.nanmean(np.asarray(scores[name], float)))
    figure, axes = panels(5.4, 1.6 + 0.3 * max(len(names), 4))
    if not names:
        return figure
    cells, clean = np.array([scores[name] for name in names], float), table.get("clean")
    least = np.fmin(np.nanmin(cells, initial=np.inf), np.inf if clean is None else clean)
    image = axes.imshow(cells, aspect="auto", cmap="magma_r", vmin=least)
    axes.grid(visible=False)
    axes.set_xticks(range(cells.shape[1]), range(1, cells.shape[1] + 1))
    axes.set_yticks(range(len(names)), [plain(name.replace("_", " ")) for name in names])
    axes.set_xlabel("severity")
    share = bool(table.get("share", False))
    for i, j in np.ndindex(*cells.shape):
        dark = image.norm(cells[i, j]) > 0.5
        text = f"{100 * cells[i, j]:.1f}" if share else f"{cells[i, j]:.3g}"
        axes.text(
            j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else "0.1"
        )
    if clean is not None:
        unit = f"{100 * clean:.1f} %" if share else f"{clean:.3g}"
        axes.set_title(f"{plain(table.get('name', ''))}, clean {unit}", fontsize=9, loc="left")
    return figure
