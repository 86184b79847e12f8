"""A module of another kind, given as it is: a model made of it trains, and the error says how."""

import flax.linen
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxopt_lab import nn, optimizers
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import Forward, init_state


class Tutorial(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x):
        return flax.linen.Dense(3)(x)


class Raw(nnx.Module):
    def __init__(self, rngs):
        self.dense = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.dense(x)


X = jnp.ones((2, 4))


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Tutorial(), "Tutorial, takes no argument train: nn.as_model"),
        (Raw(nnx.Rngs(0)), r"Raw, has no init\(.* apply\(.*: nn.as_model"),
        (nn.mlp, "function, has no init"),
        (Tutorial, "Tutorial, has no init"),
    ],
)
def test_the_error_names_the_remedy(model, text):
    with pytest.raises(InputError, match=text):
        init_state(jax.random.key(0), Forward(model), optimizers.adam(0.1), X)


@pytest.mark.parametrize("model", [Tutorial(), Raw(nnx.Rngs(0))], ids=["linen", "nnx"])
def test_the_remedy_works(model):
    forward = Forward(nn.as_model(model))
    state = init_state(jax.random.key(0), forward, optimizers.adam(0.1), X)
    assert forward.evaluate(state.params, state.model_state, X).shape == (2, 3)
