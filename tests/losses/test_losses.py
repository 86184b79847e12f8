"""Losses and metrics against float64 NumPy."""

import functools

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.declare import declared
from jaxopt_lab.losses import LOSSES, METRICS, accuracy, softmax_cross_entropy


def reference(logits, target):
    z = np.asarray(logits, np.float64)
    z = z - z.max(1, keepdims=True)
    return -(target * (z - np.log(np.exp(z).sum(1, keepdims=True)))).sum(1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_cross_entropy_of_integers_and_distributions(smoothing, scale):
    rng = np.random.default_rng(0)
    logits = (scale * rng.normal(size=(7, 4))).astype(np.float32)
    labels = rng.integers(0, 4, 7)
    target = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    expected = reference(logits, target)
    for given in (jnp.asarray(labels), jnp.eye(4)[labels]):
        found = softmax_cross_entropy(jnp.asarray(logits), given, label_smoothing=smoothing)
        assert found.dtype == jnp.float32
        # float32 against float64, relative to logits of up to 100.
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_cross_entropy_is_finite_at_extreme_logits(dtype):
    logits = jnp.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]], dtype)
    labels = jnp.array([1, 0, 2])
    value, grads = jax.value_and_grad(lambda z: softmax_cross_entropy(z, labels).sum())(logits)
    assert np.isfinite(value)
    assert np.isfinite(grads.astype(jnp.float32)).all()
    np.testing.assert_allclose(value, 2e4 + 2e4 + np.log(2) + np.log(3), rtol=5e-3)


def test_cross_entropy_at_the_largest_floats_and_without_a_class():
    logits = jnp.array([[3e38, -3e38, 0.0], [0.0, -jnp.inf, 0.0]])
    for labels in (jnp.array([0, 2]), jnp.eye(3)[jnp.array([0, 2])]):
        value, grads = jax.value_and_grad(lambda z, y=labels: softmax_cross_entropy(z, y).sum())(
            logits
        )
        np.testing.assert_allclose(value, np.log(2), rtol=1e-6)  # float32's rounding
        np.testing.assert_allclose(grads, [[0, 0, 0], [0.5, 0, -0.5]], atol=1e-6)
    smooth = softmax_cross_entropy(logits[:1], labels[:1], label_smoothing=0.1)
    assert np.isfinite(smooth).all()
    # A class that there is not: the loss of the largest logit's.
    found = softmax_cross_entropy(jnp.array([[1.0, 3.0]] * 3), jnp.array([-1, 2, 1]))
    np.testing.assert_array_equal(found, found[2])


def test_accuracy_of_integers_and_distributions():
    outputs = jnp.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]])
    labels = jnp.array([1, 0, 0])
    for given in (labels, jnp.eye(2)[labels]):
        np.testing.assert_array_equal(accuracy(outputs, given), [1.0, 1.0, 0.0])


def test_smoothing_out_of_range():
    with pytest.raises(ValueError, match="label_smoothing must be in"):
        softmax_cross_entropy(jnp.zeros((1, 2)), jnp.zeros(1, int), label_smoothing=-0.1)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", [*LOSSES, *METRICS])
def test_float64_outputs_keep_their_digits(name):
    """A change below the digits of float32 is seen; a metric of right or wrong is float64."""
    function = {**LOSSES, **METRICS}[name]
    rng = np.random.default_rng(0)
    outputs, labels = jnp.asarray(rng.normal(size=(5, 3))), jnp.asarray([0, 1, 2, 0, 1])
    function = functools.partial(function, **{**cases.LOSSES, **cases.METRICS}[name])
    if "labels" in declared({**LOSSES, **METRICS}[name]).targets or name in ("mae", "rmse", "r2"):
        labels = jax.nn.one_hot(labels, 3, dtype=int)
    if name not in METRICS:
        slope = jax.grad(lambda z: function(z, labels).sum())(outputs)
        change = function(outputs + 1e-9, labels) - function(outputs, labels)
        rounding = 4 * np.finfo(float).eps * np.abs(function(outputs, labels)).max()
        np.testing.assert_allclose(change, 1e-9 * slope.sum(1), rtol=1e-4, atol=rounding)
    assert function(outputs, labels).dtype == jnp.float64
