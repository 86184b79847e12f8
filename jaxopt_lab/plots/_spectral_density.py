"""The density of a Hessian's eigenvalues."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxopt_lab.plots.curves import TRAIN, VALIDATION
from jaxopt_lab.plots.panels import Figure, panel, plain

DECADES = 6  # below the top: what a density of thousands of eigenvalues can show of one


def spectral_density(spectrum: Mapping[str, Any]) -> Figure:
    """The spectral density on a log scale, and where the computed eigenvalues are.

    Args:
      spectrum: `grid` (points,) and `density` (points,), as `hessian_spectrum` of the diagnostics
        gives them; `width`, the standard deviation of its Gaussians; `eigenvalues` (k,), those that
        were computed by themselves, drawn as ticks at the foot; `title`. All optional.

    Returns:
      A figure; its axes are empty where nothing is given.

    Reference: Ghorbani, Krishnan and Xiao, 2019, https://arxiv.org/abs/1901.10159
    """
    figure, axes = panel("eigenvalue", "density")
    if "title" in spectrum:
        axes.set_title(plain(spectrum["title"]))
    if "grid" in spectrum and "density" in spectrum:
        grid, density = (np.asarray(spectrum[name], float) for name in ("grid", "density"))
        top = np.nanmax(density, initial=0)
        if top > 0:
            label = "density"
            if "width" in spectrum:
                label += f", Gaussians of width {float(spectrum['width']):.2g}"
            foot = top * 10.0**-DECADES
            shown = np.maximum(density, foot)
            axes.fill_between(grid, shown, foot, color=TRAIN, alpha=0.25, linewidth=0)
            axes.plot(grid, shown, color=TRAIN, linewidth=1.4, label=label)
            axes.set_yscale("log")
            axes.set_ylim(foot, 3 * top)
            axes.axvline(0, color="0.4", linewidth=0.8, linestyle="--")
    if "eigenvalues" in spectrum:
        values = np.asarray(spectrum["eigenvalues"], float)
        axes.plot(
            values, np.full(len(values), 0.03), transform=axes.get_xaxis_transform(),
            linestyle="", marker="|", markersize=14, markeredgewidth=1.8, color=VALIDATION,
            label="top eigenvalues",
        )  # fmt: skip
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return figure
