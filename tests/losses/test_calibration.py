"""Expected calibration error against a float64 loop over bins, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.losses import expected_calibration_error


def loop(confidence, right, bins):
    total = 0.0
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_against_a_loop_over_bins(bins):
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(500, 7))
    labels = rng.integers(0, 7, 500)
    p = softmax(logits)
    expected = loop(p.max(1), (p.argmax(1) == labels) * 1.0, bins)
    given = jnp.asarray(logits, jnp.float32)
    for form in (jnp.asarray(labels), jax.nn.one_hot(labels, 7)):
        found = jax.jit(expected_calibration_error, static_argnames="bins")(given, form, bins=bins)
        assert found.shape == () and found.dtype == jnp.float32
        # Sums of 500 float32 terms against float64.
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("column", [False, True])
def test_one_output_is_two_classes(column):
    rng = np.random.default_rng(1)
    z = 2 * rng.normal(size=300)
    labels = rng.integers(0, 2, 300)
    p = 1 / (1 + np.exp(-z))
    expected = loop(np.maximum(p, 1 - p), ((z > 0) == (labels == 1)) * 1.0, 15)
    given = jnp.asarray(z, jnp.float32)
    found = expected_calibration_error(given[:, None] if column else given, jnp.asarray(labels))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(("share", "expected"), [(0.75, 0.0), (0.5, 0.25), (1.0, 0.25)])
def test_a_constant_confidence(share, expected):
    """All say 75%: the error is the distance of 75% from the share that is right."""
    logits = jnp.tile(jnp.log(jnp.array([[0.75, 0.25]])), (100, 1))
    labels = (jnp.arange(100) >= 100 * share).astype(int)
    # 100 float32 terms of 0.25 or 0.75, each off by at most 6e-8.
    np.testing.assert_allclose(
        expected_calibration_error(logits, labels), expected, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_certain_and_right_is_zero_and_certain_and_wrong_is_one(dtype):
    logits = jnp.array([[1e4, 0.0], [0.0, 1e4]], dtype)
    assert expected_calibration_error(logits, jnp.array([0, 1])) == 0
    assert expected_calibration_error(logits, jnp.array([1, 0])) == 1


def test_fewer_bins_than_one():
    with pytest.raises(ValueError, match="bins must be >= 1, got 0"):
        expected_calibration_error(jnp.zeros((1, 2)), jnp.zeros(1, int), bins=0)
