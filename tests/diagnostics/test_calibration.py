"""Calibration against hand computation, and a temperature that is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.diagnostics import calibration
from jaxopt_lab.losses import expected_calibration_error


def test_by_hand():
    p = jnp.asarray([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]])
    labels = jnp.asarray([0, 1, 1, 0])
    found = calibration(p, labels, bins=5, kind="probabilities")
    np.testing.assert_array_equal(found.count, [0, 0, 1, 2, 1])  # (0.6, 0.8] holds 0.8 itself
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.55, 0.75, 0.9], rtol=1e-6)
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0, 0.5, 1], rtol=1e-6)
    np.testing.assert_allclose(found.ece, (0.55 + 2 * 0.25 + 0.1) / 4, rtol=1e-6)
    np.testing.assert_allclose(found.mce, 0.55, rtol=1e-6)
    np.testing.assert_allclose(found.brier, 2 * (0.01 + 0.64 + 0.09 + 0.3025) / 4, rtol=1e-6)
    np.testing.assert_allclose(found.nll, -np.log([0.9, 0.2, 0.7, 0.45]).mean(), rtol=1e-6)


@pytest.mark.parametrize("scale", [0.3, 1.0, 6.0])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16])
def test_temperature_of_a_coin(scale, dtype):
    # Logits (0, c) of which 80% are right: the best has c / T = log(0.8 / 0.2).
    z = jnp.stack([jnp.zeros(10), jnp.full(10, scale)], -1).astype(dtype)
    labels = jnp.asarray([1] * 8 + [0] * 2)
    found = calibration(z, labels)
    expected = float(z[0, 1]) / np.log(4)
    np.testing.assert_allclose(found.temperature, expected, rtol=1e-5)
    np.testing.assert_allclose(
        found.tempered_nll, -0.8 * np.log(0.8) - 0.2 * np.log(0.2), rtol=1e-5
    )
    assert found.tempered_nll <= found.nll + 1e-6 and found.nll.dtype == jnp.float32


def test_the_temperature_minimizes_and_the_error_is_that_of_losses():
    rng = np.random.default_rng(0)
    z = jnp.asarray(3 * rng.normal(size=(200, 5)), jnp.float32)
    labels = jax.random.categorical(jax.random.key(1), z / 2)
    found = calibration(z, labels)
    assert 1.5 < found.temperature < 2.6  # drawn at 2
    nll = lambda t: -jax.nn.log_softmax(z / t)[jnp.arange(200), labels].mean()  # noqa: E731
    np.testing.assert_allclose(jax.grad(nll)(found.temperature), 0, atol=1e-5)
    np.testing.assert_allclose(found.tempered_nll, nll(found.temperature), rtol=1e-6)
    np.testing.assert_allclose(found.ece, expected_calibration_error(z, labels), rtol=1e-6)
    gaps = np.nan_to_num(np.abs(found.confidence - found.accuracy))
    np.testing.assert_allclose(found.ece, (gaps * found.count).sum() / 200, rtol=1e-5)
    np.testing.assert_allclose(found.mce, gaps.max(), rtol=1e-5)
    assert found.count.sum() == 200
    for other in (calibration(z, jax.nn.one_hot(labels, 5)), jax.jit(calibration)(z, labels)):
        for a, b in zip(found, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_one_output_is_the_positive_class():
    z = jnp.asarray(np.random.default_rng(2).normal(size=30), jnp.float32)
    labels = (z + jax.random.normal(jax.random.key(0), z.shape) > 0).astype(int)
    two = calibration(jnp.stack([jnp.zeros(30), z], -1), labels)
    others = [
        calibration(z, labels),
        calibration(z[:, None], labels[:, None]),
        calibration(jax.nn.sigmoid(z), labels, kind="probabilities"),
    ]
    for other in others:
        for a, b in zip(two, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(two.ece, expected_calibration_error(z, labels), rtol=1e-6)


def test_extremes():
    right = calibration(jnp.asarray([[5.0, 0.0]]), jnp.asarray([0]))  # a single sample
    np.testing.assert_allclose(right.temperature, 0.01, rtol=1e-4)
    wrong = calibration(jnp.asarray([[5.0, 0.0]]), jnp.asarray([1]))
    np.testing.assert_allclose(wrong.temperature, 100, rtol=1e-4)
    # Classes that are ruled out, by a logit of -infinity and a probability of 0.
    for z, kind in ((jnp.asarray([[1.0, 0.0, -jnp.inf]] * 3), "logits"),
                    (jnp.asarray([[0.7, 0.3, 0.0]] * 3), "probabilities")):  # fmt: skip
        found = calibration(z, jnp.asarray([0, 0, 1]), kind=kind)
        assert np.isfinite([found.nll, found.brier, found.temperature, found.tempered_nll]).all()
    np.testing.assert_allclose(found.temperature, np.log(7 / 3) / np.log(2), rtol=1e-5)
    broken = calibration(jnp.asarray([[jnp.nan, 1.0]]), jnp.asarray([0]))
    assert np.isnan([broken.nll, broken.temperature]).all()


@pytest.mark.usefixtures("x64")
def test_float64():
    z = jnp.asarray([[0.0, 2.0]] * 4)
    found = calibration(z, jnp.asarray([1, 1, 1, 0]))
    assert found.nll.dtype == jnp.float64
    np.testing.assert_allclose(found.temperature, 2 / np.log(3), rtol=1e-13)


def test_bad_input_is_told():
    z = jnp.zeros((4, 3))
    with pytest.raises(InputError, match=r"outputs must be \(N, K\).*got \(0, 3\)"):
        calibration(z[:0], jnp.zeros(0, int))
    with pytest.raises(InputError, match=r"labels \(5,\) int32 do not fit outputs \(4, 3\)"):
        calibration(z, jnp.zeros(5, int))
    with pytest.raises(ArgumentError, match="kind must be 'logits' or 'probabilities'"):
        calibration(z, jnp.zeros(4, int), kind="scores")
    with pytest.raises(ArgumentError, match="bins must be >= 1"):
        calibration(z, jnp.zeros(4, int), bins=0)
