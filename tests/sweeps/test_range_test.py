"""The range test's arithmetic, against plain definitions and curves whose answer is known."""

import itertools

import numpy as np
import pytest

from jaxopt_lab.sweeps import (
    diverged_at,
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


def test_the_valley_is_the_longest_decreasing_subsequence():
    losses = np.random.default_rng(1).permutation(9).astype(float)
    # By all subsequences; the first and the last of the longest ones.
    found = {}
    for size in range(9, 0, -1):
        ends = [
            (chosen[0], chosen[-1])
            for chosen in itertools.combinations(range(9), size)
            if np.all(np.diff(losses[list(chosen)]) < 0)
        ]
        if ends:
            found = {start + (end - start) // 3 + (end - start) // 3 // 2 for start, end in ends}
            break
    rates = np.arange(1.0, 10.0)
    assert valley(rates, losses) - 1 in found
    assert np.isnan(valley(rates[:0], losses[:0]))
