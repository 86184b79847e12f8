"""Ensembles and re-estimated statistics against plain loops."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.declare import declared
from jaxopt_lab.engine import (
    Forward,
    ensemble_predict,
    make_reestimate,
    reestimate_statistics,
)
from jaxopt_lab.losses import LOSSES
from jaxopt_lab.nn import cnn, mlp

KEY = jax.random.key(9)


def test_the_mean_of_the_members_probabilities():
    model, x = mlp(3, hidden=[4]), jnp.linspace(-1, 1, 20).reshape(5, 4)
    members = jax.vmap(model.init, (0, None))(jax.random.split(jax.random.key(0), 3), x)
    found = ensemble_predict(model.apply, members, x)
    alone = [
        jax.nn.softmax(model.apply(jax.tree.map(lambda p, i=i: p[i], members), x)) for i in range(3)
    ]
    np.testing.assert_allclose(found, sum(alone) / 3, rtol=1e-5)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_an_ensemble_pools_what_the_loss_scores(loss):
    """Probabilities where the loss is of them, else outputs; float32 against float64."""
    z = np.random.default_rng(2).normal(size=(3, 5, 4)) * 10
    probabilities = {
        "softmax_cross_entropy": lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True),
        "logistic": lambda z: 1 / (1 + np.exp(-z)),
        "binary_cross_entropy": lambda z: 1 / (1 + np.exp(-z)),
        "focal": lambda z: 1 / (1 + np.exp(-z)),
        "poisson_nll": np.exp,
    }.get(loss.__name__, lambda z: z)
    pool = declared(loss).pool or (lambda outputs: outputs.mean(0))
    found = np.asarray(pool(jnp.asarray(z, jnp.float32)), np.float64)
    np.testing.assert_allclose(probabilities(found), probabilities(z).mean(0), rtol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "logistic"])
def test_an_ensemble_of_equals_that_are_surely_wrong_scores_as_each_does(name, dtype):
    """Their probability of the label is too small for a float32."""
    loss, z = LOSSES[name], jnp.array([[-3.0, 200.0, 5.0], [-900.0, 0.0, 2.0]], dtype)
    pooled = declared(loss).pool(jnp.stack([z] * 3))
    assert pooled.dtype == dtype
    found, expected = loss(pooled, jnp.zeros(2, int)), loss(z, jnp.zeros(2, int))
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # float32


class OneNorm(nn.Module):
    momentum: float

    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.BatchNorm(use_running_average=not train, momentum=self.momentum)(x)


@pytest.mark.parametrize(("momentum", "scale"), [(0.7, 1), (0.0, 1e-3), (0.99, 1e4), (0.999, 1e9)])
def test_statistics_become_the_mean_over_batches(momentum, scale):
    rng = np.random.default_rng(0)
    batches = [scale * (3 + 2 * rng.normal(size=(16, 4))).astype(np.float32) for _ in range(5)]
    model = OneNorm(momentum)
    variables = dict(model.init(jax.random.key(0), batches[0]))
    params = variables.pop("params")
    state = reestimate_statistics(Forward(model), params, variables, batches, KEY)
    found = state["batch_stats"]["BatchNorm_0"]
    # float32; the sums over a batch of 16 lose a digit.
    np.testing.assert_allclose(found["mean"], np.mean([b.mean(0) for b in batches], 0), rtol=1e-5)
    np.testing.assert_allclose(found["var"], np.mean([b.var(0) for b in batches], 0), rtol=1e-5)


class Everything(nn.Module):
    """A spectral normalization, an average that is used in training, a count and a key."""

    @nn.compact
    def __call__(self, x, *, train=False):
        x = nn.SpectralNorm(nn.Dense(6))(x, update_stats=train)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        shift = self.variable("shifts", "mean", jnp.zeros, 6)
        count = self.variable("counters", "passes", jnp.zeros, (), jnp.int32)
        key = self.variable("keys", "own", lambda: jax.random.key(0))
        y = x - shift.value[None]
        if train:
            shift.value = 0.99 * shift.value + 0.01 * (x + 1).mean(0)
            count.value += 1
            key.value = jax.random.fold_in(key.value, 1)
        return y


def test_what_is_no_running_average_goes_on_as_in_training():
    model, rng = Everything(), np.random.default_rng(1)
    batches = [jnp.asarray(rng.normal(size=(32, 5)), jnp.float32) for _ in range(40)]
    variables = dict(model.init(jax.random.key(0), batches[0]))
    params = jax.tree.map(lambda p: p + 1, variables.pop("params"))
    state = reestimate_statistics(Forward(model), params, variables, batches, KEY)
    kernel = np.asarray(params["Dense_0"]["kernel"], np.float64)
    sigma = np.linalg.svd(kernel, compute_uv=False)[0]
    spectral = state["batch_stats"]["SpectralNorm_0"]
    # Forty power iterations, in float32.
    np.testing.assert_allclose(spectral["Dense_0/kernel/sigma"], sigma, rtol=1e-5)
    hidden = np.asarray(batches) @ (kernel / sigma) + np.asarray(params["Dense_0"]["bias"])
    found = state["batch_stats"]["BatchNorm_0"]
    # The first passes have a sigma that is not yet that of these parameters.
    np.testing.assert_allclose(found["mean"], hidden.mean((0, 1)), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(found["var"], hidden.var(1).mean(0), rtol=2e-2)
    # The mean over a batch of what is normalized is its bias, 1, and 1 more.
    np.testing.assert_allclose(state["shifts"]["mean"], np.full(6, 2.0), rtol=1e-4)
    assert state["counters"]["passes"] == variables["counters"]["passes"]
    assert state["keys"]["own"] == variables["keys"]["own"]


class OneSpectralNorm(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.SpectralNorm(nn.Dense(6))(x, update_stats=train)


def test_a_spectral_normalization_alone_goes_on_from_its_own_vector():
    """From zeros, and from what overflows, it does nothing: the outputs are the same there."""
    model, x = OneSpectralNorm(), jax.random.normal(jax.random.key(1), (8, 5))
    variables = dict(model.init(jax.random.key(0), x))
    params = variables.pop("params")
    state = reestimate_statistics(Forward(model), params, variables, [x] * 40, KEY)
    sigma = np.linalg.svd(np.asarray(params["Dense_0"]["kernel"], np.float64), compute_uv=False)[0]
    found = state["batch_stats"]["SpectralNorm_0"]["Dense_0/kernel/sigma"]
    np.testing.assert_allclose(found, sigma, rtol=1e-3)


def test_a_model_without_statistics_is_left_alone():
    model = mlp(3)
    params = model.init(jax.random.key(0), jnp.ones((1, 4)))["params"]
    assert reestimate_statistics(Forward(model), params, {}, [jnp.ones((2, 4))], KEY) == {}


def test_statistics_of_a_deep_model_do_not_depend_on_where_they_start():
    model, x = cnn(3, channels=[4, 6]), jax.random.normal(jax.random.key(1), (8, 6, 6, 2))
    variables = dict(model.init(jax.random.key(0), x))
    params = variables.pop("params")
    other = jax.tree.map(lambda s: s + 5, variables)
    a = reestimate_statistics(Forward(model), params, variables, [x], KEY)
    b = reestimate_statistics(Forward(model), params, other, [x], KEY)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_the_pure_form_gives_the_same_statistics_in_a_loop():
    model, x = cnn(3, channels=[4, 6]), jax.random.normal(jax.random.key(1), (3, 8, 6, 6, 2))
    variables = dict(model.init(jax.random.key(0), x[0]))
    params = variables.pop("params")
    moved = jax.tree.map(lambda p: 1.5 * p + 0.1, params)
    reestimate = make_reestimate(Forward(model), params, variables, x[0], KEY)
    many = jax.jit(lambda ps: jax.lax.map(lambda p: reestimate(p, x), ps))
    found = many(jax.tree.map(lambda a, b: jnp.stack([a, b]), params, moved))
    for i, own in enumerate((params, moved)):
        expected = reestimate_statistics(Forward(model), own, variables, x, KEY)
        of_one = jax.tree.map(lambda leaf, i=i: leaf[i], found)
        # The loop is compiled as a whole: sums in another order.
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), of_one, expected)
