"""Bias and variance against closed forms of ridge regression, the mean, and biased coins."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.diagnostics import bias_variance

KEY = jax.random.key(0)


def parts_sum_to_the_total(found):
    parts = found.bias + found.net_variance + found.noise + found.cross
    np.testing.assert_allclose(parts, found.total, rtol=1e-5, atol=1e-6)


def test_ridge_regression_against_its_closed_form():
    # y = X w + sigma e with X fixed, so both parts of x' (X'X + lam)^-1 X'y are known.
    rng = np.random.default_rng(0)
    n, d, lam, sigma, repeats = 30, 5, 10.0, 0.7, 4000
    X, w, x = rng.normal(size=(n, d)), rng.normal(size=d), rng.normal(size=(40, d))
    A = np.linalg.inv(X.T @ X + lam * np.eye(d))
    truth = x @ w
    bias = np.square(x @ A @ X.T @ X @ w - truth).mean()
    variance = (sigma**2 * np.square(x @ A @ X.T).sum(1)).mean()
    targets = truth + sigma * rng.normal(size=40)
    X, x, A, truth, y = (jnp.asarray(a, jnp.float32) for a in (X, x, A, truth, X @ w))

    def draw(key):
        return y + sigma * jax.random.normal(key, y.shape)

    def train(key, labels):
        return x @ (A @ (X.T @ labels))

    run = functools.partial(bias_variance, train, draw, repeats=repeats, truth=truth)
    found = jax.jit(run)(jnp.asarray(targets, jnp.float32), KEY)
    # Relative standard error of a variance: sqrt(2 / repeats) = 2%, of the squared bias 1%.
    np.testing.assert_allclose(found.variance, variance, rtol=0.08)
    np.testing.assert_allclose(found.bias, bias, rtol=0.05)
    np.testing.assert_allclose(found.noise, np.square(targets - truth).mean(), rtol=1e-5)
    assert found.net_variance == found.variance
    parts_sum_to_the_total(found)
    # Without the truth the noise is part of the bias, and the total is the same.
    blind = bias_variance(train, draw, targets, KEY, repeats=repeats)
    np.testing.assert_allclose(blind.total, found.total, rtol=1e-5)
    np.testing.assert_allclose(blind.bias, found.bias + found.noise + found.cross, rtol=1e-4)
    assert blind.noise == blind.cross == 0


def test_two_runs_do_not_inflate_the_bias():
    # The mean of 4 standard normals: bias 0, variance 1/4. (p - f)^2 of 2 runs would be 1/8.
    def one(key):
        draw = lambda key: jax.random.normal(key, (4,))  # noqa: E731
        return bias_variance(lambda _, y: y.mean(keepdims=True), draw, jnp.zeros(1), key, repeats=2)

    found = jax.jit(jax.vmap(one))(jax.random.split(KEY, 5000))
    # The standard error of each mean is about 0.004.
    np.testing.assert_allclose(found.bias.mean(), 0, atol=0.015)
    np.testing.assert_allclose(found.variance.mean(), 0.25, atol=0.02)


def test_the_bootstrap_of_a_mean():
    y = jnp.asarray(np.random.default_rng(3).normal(size=20), jnp.float32)
    train = lambda _, data: data["y"].mean(keepdims=True)  # noqa: E731
    found = bias_variance(train, {"y": y}, y.mean(keepdims=True), KEY, repeats=4000)
    np.testing.assert_allclose(found.variance, y.var() / 20, rtol=0.1)
    np.testing.assert_allclose(found.bias, 0, atol=0.001)
    some = bias_variance(train, {"y": y}, y.mean(keepdims=True), KEY, repeats=4000, at_once=1500)
    for a, b in zip(some, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("chances", "label", "bias", "variance", "net"),
    [
        ((0.2, 0.8), 1, 0, 0.2, 0.2),  # right in the main: variance hurts
        ((0.7, 0.3), 1, 1, 0.3, -0.3),  # wrong in the main, of two classes: all variance helps
        ((0.5, 0.3, 0.2), 1, 1, 0.5, -0.3),  # of three: that to the right class does
    ],
)
def test_zero_one_loss_of_coins(chances, label, bias, variance, net):
    train = lambda key, _: jax.random.categorical(key, jnp.log(jnp.asarray(chances)), shape=(1,))  # noqa: E731
    found = bias_variance(
        train, jnp.zeros(3), jnp.asarray([label]), KEY, repeats=2000, loss="zero_one", at_once=2000
    )
    assert found.bias == bias
    # A frequency of 2000 has a standard error of 0.011.
    np.testing.assert_allclose([found.variance, found.net_variance], [variance, net], atol=0.045)
    np.testing.assert_allclose(found.total, 1 - chances[label], atol=0.045)
    parts_sum_to_the_total(found)


def test_a_tie_goes_to_the_least_class():
    # A run predicts 0 or 1 by its bootstrap, so of two runs each may have a vote.
    table = jnp.asarray([[1], [0]])
    train = lambda _, i: table[i[0]]  # noqa: E731
    one = lambda key: bias_variance(  # noqa: E731
        train, jnp.arange(2), jnp.asarray([0]), key, repeats=2, loss="zero_one"
    )
    found = jax.vmap(one)(jax.random.split(KEY, 20))
    assert set(np.asarray(found.total)) == {0, 0.5, 1}
    np.testing.assert_array_equal(found.bias, found.total == 1)
    parts_sum_to_the_total(found)


def test_narrow_floats_and_networks_that_diverged():
    train = lambda key, _: jax.random.normal(key, (3,), jnp.bfloat16)  # noqa: E731
    found = bias_variance(train, jnp.zeros(2), jnp.zeros(3), KEY, repeats=3)
    assert all(part.dtype == jnp.float32 for part in found)
    diverged = lambda *_: jnp.full(3, jnp.nan)  # noqa: E731
    broken = bias_variance(diverged, jnp.zeros(2), jnp.zeros(3), KEY, repeats=2)
    assert np.isnan(broken.total)


def test_bad_input_is_told():
    train = lambda *_: jnp.zeros(3)  # noqa: E731
    with pytest.raises(ArgumentError, match="repeats must be >= 2, got 1"):
        bias_variance(train, jnp.zeros(2), jnp.zeros(3), KEY, repeats=1)
    with pytest.raises(ArgumentError, match="truth is for the squared loss"):
        bias_variance(train, jnp.zeros(2), jnp.zeros(3), KEY, loss="zero_one", truth=jnp.zeros(3))
    with pytest.raises(InputError, match=r"data must be arrays of one length"):
        bias_variance(train, (jnp.zeros(2), jnp.zeros(3)), jnp.zeros(3), KEY)
    with pytest.raises(InputError, match=r"targets must have the shape.*\(3,\), got \(4,\)"):
        bias_variance(train, jnp.zeros(2), jnp.zeros(4), KEY)
    with pytest.raises(InputError, match=r"needs integer classes, got predictions float32"):
        bias_variance(train, jnp.zeros(2), jnp.zeros(3, int), KEY, loss="zero_one")
