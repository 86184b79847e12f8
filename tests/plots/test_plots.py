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


def test_smoothing_is_unbiased_and_passes_over_what_is_not_finite():
    np.testing.assert_allclose(smoothed(np.ones(5), 3), 1)
    np.testing.assert_allclose(smoothed(np.array([1.0, np.nan, 1.0]), 3), 1)
    np.testing.assert_allclose(smoothed(np.array([1.0, 5.0]), 1), [1, 5])
    assert np.isnan(smoothed(np.array([np.nan, 1.0]), 2)[0])
