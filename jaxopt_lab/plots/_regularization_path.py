"""Coefficients and scores of a linear model against the strength of its penalty."""

from collections.abc import Mapping

import numpy as np

from jaxopt_lab.plots.curves import TRAIN, VALIDATION
from jaxopt_lab.plots.panels import Figure, panels, plain

# Beyond these many lines the largest coefficients are drawn alone.
MOST_LINES = 200


def regularization_path(path: Mapping[str, np.ndarray]) -> Figure:
    """The coefficients against lambda, and below them the scores, with the lambda that was chosen.

    Args:
      path: columns `lam` (L,), `coef` (L, P), `train_score` (L,), and where there are `val_score`
        (L,) and the scalars `chosen`, a lambda, and `score`, the score's name.

    Returns:
      A figure; its axes are empty where no column is there.

    Reference: Hastie et al., The Elements of Statistical Learning, 2009, figures 3.8 and 3.10.
    """
    figure, (above, below) = panels(6.4, 5.4, 2, sharex=True, height_ratios=(3, 2))
    above.set_ylabel("coefficients")
    below.set_ylabel(plain(path.get("score", "score")))
    below.set_xlabel("lambda")
    lam = np.asarray(path.get("lam", np.zeros(0)))
    order, marker = np.argsort(lam), "o" if len(lam) == 1 else None
    if "coef" in path and len(lam):
        coef = np.asarray(path["coef"])
        largest = np.argsort(-np.abs(coef).max(0))[:MOST_LINES]
        few = len(largest) <= 10
        for line in sorted(largest):
            above.plot(
                lam[order],
                coef[order, line],
                color=f"C{line % 10}" if few else TRAIN,
                alpha=1.0 if few else 0.3,
                linewidth=1.4 if few else 0.8,
                marker=marker,
            )
        above.axhline(0, color="0.4", linewidth=0.8)
        if len(largest) < coef.shape[1]:
            text = f"the {len(largest)} largest of {coef.shape[1]:,} coefficients"
            above.set_title(text, fontsize=9, loc="left")
    for name, color, label in (
        ("train_score", TRAIN, "train"),
        ("val_score", VALIDATION, "validation"),
    ):
        if name in path and len(lam):
            scores = np.asarray(path[name])[order]
            below.plot(lam[order], scores, color=color, marker=marker, label=label)
    if len(lam) > 1 and lam.max() > 0:
        smallest = lam[lam > 0].min()
        # Logarithmic, with room for a lambda of zero where there is one.
        below.set_xscale("log") if lam.min() > 0 else below.set_xscale("symlog", linthresh=smallest)
    if "chosen" in path and len(lam) > 1:
        for axes in (above, below):
            axes.axvline(float(path["chosen"]), color="0.4", linestyle="--", linewidth=1.0)
    if below.get_legend_handles_labels()[0]:
        below.legend(frameon=False)
    return figure
