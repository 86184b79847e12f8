"""Plots draw what they are given, and take what a short or broken run gives."""

import numpy as np
import pytest

from jaxopt_lab.plots import PLOTS, figure_png
from jaxopt_lab.plots.curves import smoothed

STEP = np.arange(1, 101)
FULL = {
    "step": STEP,
    "loss": np.exp(-STEP / 30),
    "accuracy": 1 - np.exp(-STEP / 30),
    "learning_rate": 1 / STEP,
    "eval_step": STEP[::10],
    "val_loss": np.exp(-STEP[::10] / 30),
    "val_accuracy": 1 - np.exp(-STEP[::10] / 30),
}
ONE = {k: v[:1] for k, v in FULL.items()}
BROKEN = {
    k: np.where(np.arange(len(v)) > 5, np.nan, v) if "step" not in k else v for k, v in FULL.items()
}


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize(
    "history", [FULL, ONE, BROKEN, {}, {k: v for k, v in FULL.items() if "val" not in k}]
)
def test_draws(name, history):
    assert figure_png(PLOTS[name](history)).startswith(b"\x89PNG")


X, Y = np.linspace(-1, 1, 7), np.linspace(-2, 2, 5)
PLANE = Y[:, None] ** 2 + X**2
HOLES = np.where(PLANE > 4, np.nan, PLANE)


@pytest.mark.parametrize(
    "surface",
    [
        {"x": X, "y": Y, "values": PLANE + 1, "path": [[1, 1], [0, 0]], "explained": [0.9, 0.1]},
        {"x": X, "y": Y, "values": HOLES, "title": "with holes"},
        {"x": X, "y": Y, "values": np.full(PLANE.shape, np.nan)},
        {"x": X, "y": Y, "values": np.ones(PLANE.shape)},
        {"x": X, "values": X**2},
        {"x": X, "values": {"loss": X**2, "error": np.abs(X)}},
    ],
)
def test_a_surface_draws_what_there_is_of_it(surface):
    axes = PLOTS["loss_surface"](surface)
    assert figure_png(axes).startswith(b"\x89PNG")
    has_levels = np.ndim(surface["values"]) == 2 and np.nanmax(surface["values"], initial=0) > 1
    assert bool(axes.axes[0].collections) == has_levels


def test_a_spectrum_has_its_eigenvalues_and_says_its_width():
    density = np.exp(-((STEP - 50) ** 2) / 8)
    spectrum = {"grid": STEP, "density": density, "width": 2.0, "eigenvalues": [49, 51]}
    axes = PLOTS["spectral_density"](spectrum).axes[0]
    assert axes.get_yscale() == "log"
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["density, Gaussians of width 2", "top eigenvalues"]
    for broken in ({"grid": STEP, "density": np.full(100, np.nan)}, {"eigenvalues": []}):
        assert figure_png(PLOTS["spectral_density"](broken)).startswith(b"\x89PNG")


def test_smoothing_is_unbiased_and_passes_over_what_is_not_finite():
    np.testing.assert_allclose(smoothed(np.ones(5), 3), 1)
    np.testing.assert_allclose(smoothed(np.array([1.0, np.nan, 1.0]), 3), 1)
    np.testing.assert_allclose(smoothed(np.array([1.0, 5.0]), 1), [1, 5])
    assert np.isnan(smoothed(np.array([np.nan, 1.0]), 2)[0])
