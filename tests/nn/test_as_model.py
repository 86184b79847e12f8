"""Networks of every kind under the engine, by what they take and what they lack."""

import functools
from typing import Any

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Model
from jaxopt_lab.engine import Forward, Objective, init_state, make_step
from jaxopt_lab.losses import softmax_cross_entropy
from jaxopt_lab.nn import as_model, from_equinox, mlp

X = jnp.asarray(np.random.default_rng(0).normal(size=(8, 4)), jnp.float32)
BATCH = {"x": X, "y": jnp.arange(8) % 3}
TRAINS = {"train": True, "training": True, "is_training": True, "deterministic": False}


class Silent(linen.Module):
    """Is not told to train."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(x)


def told(word):
    """A Linen module with dropout and statistics that is told to train by this word."""

    def call(self, x, flag):
        train = flag == TRAINS[word]
        x = linen.Dropout(0.5, deterministic=not train)(x)
        return linen.Dense(3)(linen.BatchNorm(use_running_average=not train)(x))

    source = f"lambda self, x, {word}: call(self, x, {word})"
    return type(
        "Told", (linen.Module,), {"__call__": linen.compact(eval(source, {"call": call}))}
    )()


class NNX(nnx.Module):
    """One layer, drawn by `rngs`."""

    def __init__(self, outputs: int, *, rngs):
        self.dense = nnx.Linear(4, outputs, rngs=rngs)

    def __call__(self, x):
        return self.dense(x)


class Equinox(eqx.Module):
    """Layers, dropout, a function and whole numbers, on one sample."""

    first: eqx.nn.Linear
    drop: eqx.nn.Dropout
    activation: Any
    order: jax.Array

    def __init__(self, outputs: int, rate: float = 0.0, *, key):
        self.first = eqx.nn.Linear(4, outputs, key=key)
        self.drop, self.activation = eqx.nn.Dropout(rate), jax.nn.tanh
        self.order = jax.random.permutation(key, outputs)

    def __call__(self, x, *, key=None):
        assert x.shape == (4,), "one sample"
        return self.drop(self.activation(self.first(x))[self.order], key=key)


class Bare:
    """A pair of functions that take the least there is."""

    def init(self, key, x):
        return {"params": {"w": jax.random.normal(key, (x.shape[-1], 3))}}

    def apply(self, variables, x):
        return x @ variables["params"]["w"]


KINDS = {
    "linen": lambda: Silent(),
    **{word: functools.partial(told, word) for word in TRAINS},
    "nnx_function": lambda: functools.partial(NNX, 3),
    "nnx_module": lambda: NNX(3, rngs=nnx.Rngs(0)),
    "equinox_function": lambda: functools.partial(Equinox, 3, 0.5),
    "equinox_module": lambda: Equinox(3, key=jax.random.key(0)),
    "bare": Bare,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains(kind):
    model = as_model(KINDS[kind]())
    assert isinstance(model, Model)
    forward, tx = Forward(model), optax.sgd(0.3)
    state = jax.jit(lambda key: init_state(key, forward, tx, X))(jax.random.key(0))
    step = jax.jit(make_step(forward, Objective(softmax_cross_entropy), tx))
    losses = []
    for _ in range(20):
        state, metrics = step(state, BATCH)
        losses.append(metrics["loss"])
    assert losses[-1] < losses[0]
    evaluate = jax.jit(forward.evaluate)
    outputs = evaluate(state.params, state.model_state, X)
    alone = evaluate(state.params, state.model_state, X[:1])
    np.testing.assert_allclose(outputs[:1], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("word", TRAINS)
def test_a_model_is_told_to_train_by_its_own_word(word):
    model = as_model(told(word))
    variables = jax.jit(lambda key: model.init(key, X, train=False))(jax.random.key(0))
    rngs = {"dropout": jax.random.key(1)}

    @jax.jit
    def both(variables):
        told = {"train": True, "rngs": rngs, "mutable": ["batch_stats"]}
        return model.apply(variables, X, **told), model.apply(variables, X, train=False)

    (trained, changed), evaluated = both(variables)
    assert (trained != evaluated).any()
    before, after = (v["batch_stats"]["BatchNorm_0"]["mean"] for v in (variables, changed))
    assert (before != after).all()


def test_what_has_both_functions_is_left_as_it_is():
    model = mlp(3)
    assert as_model(model) is model
    assert as_model(3) == 3 and as_model(NNX) is NNX


@pytest.mark.parametrize("make", [functools.partial(NNX, 3), functools.partial(Equinox, 3)])
def test_functions_draw_by_the_seed(make):
    keys = jax.random.split(jax.random.key(0), 3)
    model = as_model(make)

    def init(key):
        return model.init(key, X, train=False)

    together, alone = jax.jit(jax.vmap(init))(keys), jax.jit(init)(keys[1])
    # One product over three keys and one of them: float32 rounding.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-6), together, alone)
    assert any((leaf[0] != leaf[1]).any() for leaf in jax.tree.leaves(together["params"]))


def test_equinox_gives_what_the_module_gives():
    module = Equinox(3, 0.5, key=jax.random.key(2))
    model = from_equinox(module)
    variables = model.init(jax.random.key(0))
    assert jax.tree.map(jnp.shape, jax.tree.leaves(variables["params"])) == [(3, 4), (3,)]
    still = eqx.nn.inference_mode(module)
    np.testing.assert_array_equal(model.apply(variables, X), jax.vmap(still)(X))
    np.testing.assert_array_equal(model.apply(variables, X, train=False), jax.vmap(still)(X))
    whole = eqx.combine(variables["params"], module)
    np.testing.assert_array_equal(whole.first.weight, module.first.weight)
    # In training each sample has a key of its own, and the buffers come back.
    key = jax.random.key(5)
    outputs, kept = model.apply(
        variables, X, train=True, rngs={"dropout": key}, mutable=["buffers", "more"]
    )
    wanted = [module(x, key=k) for x, k in zip(X, jax.random.split(key, len(X)), strict=True)]
    np.testing.assert_allclose(outputs, jnp.stack(wanted), rtol=1e-6)
    np.testing.assert_array_equal(kept["buffers"].order, module.order)
    with pytest.raises(InputError, match=r"give rngs=\{'dropout': key\}"):
        model.apply(variables, X, train=True)


class Normalized(eqx.Module):
    """Has a state."""

    norm: eqx.nn.BatchNorm

    def __init__(self, *, key):
        self.norm = eqx.nn.BatchNorm(4, "batch", mode="batch")

    def __call__(self, x, state):
        return self.norm(x, state)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (3, "needs an equinox.Module or a function key -> module, got 3"),
        (lambda key: 3, "must give an equinox.Module that can be called, got int"),
        (lambda key: Normalized(key=key), "such as BatchNorm, which is not carried: take"),
        (lambda key: eqx.nn.make_with_state(Normalized)(key=key), "such as BatchNorm"),
        (Normalized(key=jax.random.key(0)), "such as BatchNorm"),
    ],
)
def test_what_equinox_cannot_give_is_refused(given, text):
    with pytest.raises(InputError, match=text):
        from_equinox(given)
