"""What a regression predicts against what is true."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_lab.plots.panels import Figure, panels, plain

MOST_OUTPUTS = 4
DOTS = {"s": 9, "color": "#1F4E79", "alpha": 0.5, "linewidths": 0}


def predicted_against_true(samples: Mapping[str, Any]) -> Figure:
    """Predictions against targets, a panel an output: on the line they are right.

    Args:
      samples: `predicted` and `true`, (N,) or (N, K) each, of which the first 4 outputs are drawn;
        and perhaps `names`, (K,), of the outputs, else they have numbers, and `text`, the title.

    Returns:
      A figure; its axes are empty where nothing is given.
    """
    predicted, true = (
        np.asarray(samples.get(name, np.zeros((0, 1))), float) for name in ("predicted", "true")
    )
    predicted, true = (v[:, None] if v.ndim == 1 else v for v in (predicted, true))
    count = max(1, min(true.shape[1], MOST_OUTPUTS))
    numbers = [""] if true.shape[1] == 1 else [str(k) for k in range(count)]
    names = [plain(name) for name in samples.get("names", ())] or numbers
    across, down = min(count, 2), -(-count // 2)
    figure, drawn = panels(4.4 * across, 4.2 * down, down, across)
    for axes in np.ravel(drawn)[count:]:
        axes.set_visible(False)
    for k, axes in enumerate(np.ravel(drawn)[:count]):
        axes.set_xlabel(f"true {names[k]}".strip())
        axes.set_ylabel(f"predicted {names[k]}".strip())
        x, y = true[:, k], predicted[:, k]
        there = np.isfinite(x) & np.isfinite(y)
        if not there.any():
            continue
        axes.scatter(x[there], y[there], **DOTS)
        both = np.concatenate([x[there], y[there]])
        ends = [both.min(), both.max()]
        axes.plot(ends, ends, color="0.3", linestyle="--", linewidth=1)
    figure.suptitle(plain(samples.get("text", "")), fontsize=10)
    return figure
