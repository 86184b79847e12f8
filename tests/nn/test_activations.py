"""Activations against PyTorch's recorded ones, all used alike in a model."""

import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.nn.activations import ACTIVATIONS, activation

RECORD = np.load(pathlib.Path(__file__).parents[1] / "references" / "layers_torch.npz")


class Layer(nn.Module):
    """An activation in a compact method, as the models have it."""

    name_of_activation: str

    @nn.compact
    def __call__(self, x):
        return activation(self.name_of_activation)(x)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_gradients_equal_pytorchs(name):
    layer, x = Layer(name), jnp.asarray(RECORD[f"{name}/x"], jnp.float32)
    variables = layer.init(jax.random.key(0), x)
    if name == "prelu":
        assert variables["params"] == {"PReLU_0": {"negative_slope": 0.25}}
        variables = {"params": {"PReLU_0": {"negative_slope": jnp.float32(0.3)}}}

    def loss(variables, x):
        y = layer.apply(variables, x)
        return jnp.sin(y).sum(), y

    (dvariables, dx), y = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(variables, x)
    # float32 against float64
    np.testing.assert_allclose(y, RECORD[f"{name}/y"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dx, RECORD[f"{name}/dx"], rtol=1e-5, atol=1e-6)
    if name == "prelu":
        slope = dvariables["params"]["PReLU_0"]["negative_slope"]
        np.testing.assert_allclose(slope, RECORD["prelu/dslope"][0], rtol=1e-5)
    assert layer.apply(variables, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_each_prelu_of_a_model_has_its_own_slope():
    model = nn.Sequential([Layer("prelu"), Layer("prelu")])
    assert len(jax.tree.leaves(model.init(jax.random.key(0), jnp.ones(3)))) == 2


def test_an_unknown_name_is_named():
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        activation("rellu")
