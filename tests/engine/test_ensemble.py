"""Ensembles and re-estimated statistics against plain loops."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.declare import declared
from jaxopt_lab.engine import Forward, ensemble_predict, reestimate_statistics
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
    }.get(loss.__name__, lambda z: z)
    pool = declared(loss).pool or (lambda outputs: outputs.mean(0))
    found = np.asarray(pool(jnp.asarray(z, jnp.float32)), np.float64)
    np.testing.assert_allclose(probabilities(found), probabilities(z).mean(0), rtol=1e-5)


class OneNorm(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.BatchNorm(use_running_average=not train, momentum=0.7)(x)


def test_statistics_become_the_mean_over_batches():
    rng = np.random.default_rng(0)
    batches = [jnp.asarray(3 + 2 * rng.normal(size=(16, 4)), jnp.float32) for _ in range(5)]
    model = OneNorm()
    variables = dict(model.init(jax.random.key(0), batches[0]))
    params = variables.pop("params")
    state = reestimate_statistics(Forward(model), params, variables, batches, KEY)
    found = state["batch_stats"]["BatchNorm_0"]
    # float32, with a division by 1 - m = 0.3.
    np.testing.assert_allclose(found["mean"], np.mean([b.mean(0) for b in batches], 0), rtol=1e-5)
    np.testing.assert_allclose(found["var"], np.mean([b.var(0) for b in batches], 0), rtol=1e-5)


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
