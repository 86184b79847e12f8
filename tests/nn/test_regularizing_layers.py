"""Dropout and Gaussian noise: what they draw, in expectation, and when."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.nn import Dropout, GaussianNoise

N = 200_000


def run(layer, x, train=True, seed=0):
    return layer.apply({}, x, train=train, rngs={"dropout": jax.random.key(seed)})


@pytest.mark.parametrize("classic", [False, True])
@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_dropout_in_training_equals_evaluation_in_expectation(rate, classic):
    layer, x = Dropout(rate, classic), jnp.full(N, 3.0)
    trained, evaluated = run(layer, x), run(layer, x, train=False)
    kept = np.asarray(trained != 0)
    # Five standard errors of a mean of n draws: of a coin, and of a kept value or zero.
    coin = 5 * np.sqrt(rate * (1 - rate) / N)
    assert abs(kept.mean() - (1 - rate)) < coin
    scale = 1.0 if classic else 1 / (1 - rate)
    np.testing.assert_allclose(trained[kept], 3 * scale, rtol=1e-6)
    np.testing.assert_allclose(evaluated, 3 * (1 - rate) if classic else 3, rtol=1e-6)
    assert abs(float(trained.mean() - evaluated[0])) < coin * 3 * scale


def test_the_gradient_passes_where_the_value_does():
    layer, x = Dropout(0.5), jnp.ones(100)
    gradient = jax.jit(jax.grad(lambda x: run(layer, x).sum()))(x)
    np.testing.assert_array_equal(gradient, run(layer, x))


def test_equals_flaxs_dropout():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
    flaxs = nn.Dropout(0.3).apply({}, x, deterministic=False, rngs={"dropout": jax.random.key(0)})
    np.testing.assert_allclose(run(Dropout(0.3), x), flaxs, rtol=1e-6)


def test_noise_has_its_deviation_and_is_of_training_only():
    x = jnp.full(N, 2.0)
    y = np.asarray(run(GaussianNoise(0.5), x), np.float64) - 2
    assert abs(y.mean()) < 5 * 0.5 / np.sqrt(N)  # five standard errors, here and below
    assert abs(y.std() / 0.5 - 1) < 5 / np.sqrt(2 * N)
    assert abs((y**4).mean() / 0.5**4 - 3) < 5 * np.sqrt(96 / N)  # a normal's kurtosis
    np.testing.assert_array_equal(run(GaussianNoise(0.5), x, train=False), x)
    np.testing.assert_array_equal(jax.grad(lambda x: run(GaussianNoise(0.5), x).sum())(x[:9]), 1)


LAYERS = [Dropout(0.4), Dropout(0.4, classic=True), GaussianNoise(0.3)]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda m: type(m).__name__)
def test_dtypes_shapes_keys_and_no_parameters(layer):
    for shape in ((2, 1, 1, 3), (0, 4), ()):
        x = jnp.ones(shape, jnp.bfloat16)
        for train in (False, True):
            y, variables = layer.init_with_output(jax.random.key(0), x, train=train)
            assert y.dtype == jnp.bfloat16 and y.shape == shape and not variables
    x, keys = jnp.ones(40), jax.random.split(jax.random.key(0), 3)

    def draw(key):
        return layer.apply({}, x, train=True, rngs={"dropout": key})

    together = jax.jit(jax.vmap(draw))(keys)
    np.testing.assert_allclose(together[1], draw(keys[1]), rtol=1e-6)
    assert (together[0] != together[1]).any()


def test_nothing_to_do_needs_no_key():
    x = jnp.ones(3)
    for layer in (Dropout(0.0), Dropout(0.0, classic=True), GaussianNoise(0.0)):
        np.testing.assert_array_equal(layer.apply({}, x, train=True), x)
    for layer in LAYERS:
        layer.apply({}, x, train=False)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: Dropout(1.0), r"Dropout: rate must be in \[0, 1\), got 1.0"),
        (lambda: GaussianNoise(-0.1), "stddev must be"),
    ],
)
def test_wrong_arguments_are_named(wrong, text):
    with pytest.raises(ValueError, match=text):
        wrong()
