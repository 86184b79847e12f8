"""The range test's arithmetic, against plain definitions and curves whose answer is known."""

import numpy as np
import pytest

from jaxopt_lab.sweeps import (
    diverged_at,
    has_fallen,
    range_test_rates,
    smoothed_losses,
    steepest,
    valley,
)


def test_smoothing_is_a_weighted_mean_of_what_came_before():
    losses = np.random.default_rng(0).normal(size=(3, 12)) + 3
    ours = smoothed_losses(losses, 0.7)
    for k in range(12):
        weights = 0.7 ** np.arange(k, -1, -1)
        expected = (losses[:, : k + 1] * weights).sum(1) / weights.sum()
        np.testing.assert_allclose(ours[:, k], expected, rtol=1e-12)
    losses[1, 5] = np.inf
    assert np.isnan(smoothed_losses(losses)[1, 5:]).all()


def test_divergence_is_a_multiple_of_the_best_or_no_number():
    assert diverged_at(np.array([4.0, 1.0, 2.0, 3.9, 4.1, 1.0])) == 4
    assert diverged_at(np.array([1.0, np.nan])) == 1
    assert diverged_at(np.ones(3)) == 3


def test_the_steepest_point_of_a_sigmoid_is_its_middle():
    rates = range_test_rates(1e-4, 1.0, 101)
    loss = 1 / (1 + np.exp(3 * np.log(rates / 1e-2)))
    assert steepest(rates, loss) == pytest.approx(1e-2)
    assert np.isnan(steepest(rates[:1], loss[:1]))


@pytest.mark.parametrize("low", [1e-12, 1e-8, 1e-5])
def test_the_valley_is_four_fifths_of_the_way_down_whatever_came_before(low):
    """Twenty steps a decade each time, then a sigmoid's fall from 3 to 1, and a rise."""
    rates = range_test_rates(low, 1.0, round(20 * -np.log10(low)) + 1)
    fall = 1 + 2 / (1 + (rates / 1e-2) ** 3)
    smooth = fall + np.where(rates > 0.3, 10 * (rates - 0.3), 0)
    # 1 / (1 + x^3) = 0.2 at x = 4^(1/3); the next step is up to a twentieth of a decade above.
    found = valley(rates, smooth, 3.0)
    assert 1 <= found / (1e-2 * 4 ** (1 / 3)) < 10 ** (1 / 20)
    assert has_fallen(smooth, smooth, 10)
    assert np.isnan(valley(rates[:0], smooth[:0], 3.0))


@pytest.mark.parametrize("steps", [10, 40, 200, 2000])
def test_noise_and_a_drift_of_a_hundredth_are_no_fall(steps):
    rng, begin = np.random.default_rng(steps), steps // 10
    for _ in range(50):
        losses = 2.3 + 0.3 * rng.normal(size=steps)
        assert not has_fallen(losses, smoothed_losses(losses), begin)
    drift = np.linspace(2.3, 2.28, steps)
    assert not has_fallen(drift, smoothed_losses(drift), begin)
    assert not has_fallen(drift[:begin], smoothed_losses(drift)[:begin], begin)
