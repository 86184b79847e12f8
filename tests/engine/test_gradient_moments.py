"""The mean and the spread of per-sample gradients, merged from chunks."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.engine import Objective, gradient_moments
from jaxopt_lab.second_order import noise_scale


@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_nothing_cancels_where_gradients_are_alike(mean):
    """Three chunks of 32 gradients that are the samples; sums of squares would leave no digit."""
    x = (mean + np.random.default_rng(0).normal(size=(96, 3))).astype(np.float32)
    forward = types.SimpleNamespace(evaluate=lambda params, state, x: x @ params)
    moments = gradient_moments(forward, Objective(lambda z, y: z), {"x": x, "y": np.zeros(96)})
    found, spread, count = moments(jnp.zeros(3), {})
    wide = x.astype(np.float64)
    # Roundings of a mean of 1000 to 3e-5, beside a spread of 1.
    np.testing.assert_allclose(found, wide.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(spread, ((wide - wide.mean(0)) ** 2).sum(), rtol=1e-4)
    trace = wide.var(0, ddof=1).sum()
    expected = trace / ((wide.mean(0) ** 2).sum() - trace / 96)
    if mean:
        np.testing.assert_allclose(noise_scale(found, spread, count), expected, rtol=1e-4)
