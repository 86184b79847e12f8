"""Models: shapes, parameter counts, modes, and vmapped seeds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import MODELS as CASES

from jaxopt_lab.nn import MODELS, cnn, mlp


@pytest.fixture(params=MODELS, name="model")
def _model(request):
    return MODELS[request.param](10, **CASES[request.param])


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (1, 5, 7, 3)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_row_of_outputs_a_sample(model, shape, dtype):
    x = jnp.ones(shape, dtype)
    variables = model.init(jax.random.key(0), x, train=False)
    assert model.apply(variables, x, train=False).shape == (shape[0], 10)


def test_seeds_are_vmapped(model):
    x = jnp.ones((1, 8, 8, 1))
    keys = jax.random.split(jax.random.key(0), 3)
    together = jax.vmap(model.init, (0, None))(keys, x)
    alone = model.init(keys[1], x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-6), together, alone)


def count(model, shape):
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.ones(shape))
    return sum(x.size for x in jax.tree.leaves(variables["params"]))


def test_parameter_counts():
    assert count(mlp(10, hidden=[128, 128]), (1, 8, 8, 1)) == 65 * 128 + 129 * 128 + 129 * 10
    assert count(mlp(3, hidden=[]), (1, 4)) == 15
    assert count(cnn(10, channels=[4], norm="none"), (1, 8, 8, 3)) == 27 * 4 + 4 + 50
    assert count(cnn(10, channels=[4, 6]), (1, 8, 8, 3)) == 27 * 4 + 8 + 36 * 6 + 12 + 70


@pytest.mark.parametrize("make", [mlp, cnn])
def test_dropout_acts_in_training_only(make):
    model, x = make(10, dropout=0.5), jnp.ones((4, 8, 8, 1))
    variables = model.init(jax.random.key(0), x)

    def outputs(seed, train):
        rngs = {"dropout": jax.random.key(seed)}
        return model.apply(variables, x, train=train, rngs=rngs, mutable=["batch_stats"])[0]

    assert (outputs(0, True) != outputs(1, True)).any()
    np.testing.assert_array_equal(outputs(0, False), outputs(1, False))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: mlp(10, activation="rellu"), "did you mean 'relu'"),
        (lambda: mlp(0), "classes must be >= 1"),
        (lambda: mlp(10, hidden=[0]), "hidden holds a value that must be >= 1"),
        (lambda: mlp(10, dropout=1.0), r"dropout must be in \[0, 1\)"),
        (lambda: cnn(10, norm="btach"), "did you mean 'batch'"),
        (lambda: cnn(10, channels=[]), "channels must hold at least one"),
    ],
)
def test_wrong_arguments_are_named(wrong, text):
    with pytest.raises(ValueError, match=text):
        wrong()
