"""NNX modules under the engine, against the same network of Linen."""

import pathlib

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxopt_lab
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import Forward, Objective, init_state, make_step
from jaxopt_lab.losses import softmax_cross_entropy
from jaxopt_lab.nn import from_nnx

CONFIG = pathlib.Path(__file__).parents[2] / "configs" / "digits_mlp.toml"


class Linen(linen.Module):
    """The twin of `NNX`."""

    rate: float

    @linen.compact
    def __call__(self, x, *, train=False):
        x = linen.Dense(6, name="first")(x.reshape(x.shape[0], -1))
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(x)
        x = linen.Dropout(self.rate, deterministic=not train)(linen.relu(x))
        return linen.Dense(10, name="last")(x)


class NNX(nnx.Module):
    """The twin of `Linen`."""

    def __init__(self, rate, inputs=4, *, rngs):
        self.first = nnx.Linear(inputs, 6, rngs=rngs)
        self.norm = nnx.BatchNorm(6, momentum=0.9, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.last = nnx.Linear(6, 10, rngs=rngs)

    def __call__(self, x):
        x = self.norm(self.first(x.reshape(x.shape[0], -1)))
        return self.last(self.drop(nnx.relu(x)))


class Counting(nnx.Module):
    """Has a variable of its own, and takes `train`."""

    def __init__(self, rngs):
        self.dense = nnx.Linear(4, 2, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros([], jnp.int32))

    def __call__(self, x, *, train):
        if train:
            self.calls[...] += 1
        return self.dense(x)


@pytest.fixture(name="batch")
def _batch():
    rng = np.random.default_rng(0)
    image, label = rng.normal(size=(8, 4)), rng.integers(0, 10, 8)
    return {"x": jnp.asarray(image, jnp.float32), "y": jnp.asarray(label, jnp.int32)}


def test_trains_as_the_same_network_of_linen(batch):
    model, twin = from_nnx(lambda rngs: NNX(0.0, rngs=rngs)), Linen(0.0)
    tx = optax.sgd(0.5, momentum=0.9)
    ends = []
    states = [init_state(jax.random.key(0), Forward(m), tx, batch["x"]) for m in (model, twin)]
    states[1] = states[1]._replace(params=states[0].params)
    for m, state in zip((model, twin), states, strict=True):
        step = jax.jit(make_step(Forward(m), Objective(softmax_cross_entropy), tx))
        for _ in range(3):
            state, _ = step(state, batch)
        ends.append((state.params, state.model_state))
    assert jax.tree.structure(ends[0]) == jax.tree.structure(ends[1])
    # The same operations in the same order but for the fusion: float32 rounding over 3 steps.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *ends)


def test_draws_in_training_by_the_key_only(batch):
    model = from_nnx(lambda rngs: NNX(0.5, rngs=rngs))
    variables = model.init(jax.random.key(0), batch["x"])

    @jax.jit
    def outputs(key):
        rngs = {"dropout": key}
        return model.apply(variables, batch["x"], train=True, rngs=rngs, mutable=["batch_stats"])[0]

    one, same, other = (outputs(jax.random.key(i)) for i in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    with pytest.raises(InputError, match="give rngs="):
        model.apply(variables, batch["x"], train=True)
    evaluated = model.apply(variables, batch["x"])
    np.testing.assert_array_equal(evaluated, model.apply(variables, batch["x"]))


def test_seeds_are_vmapped():
    model = from_nnx(lambda rngs: NNX(0.5, rngs=rngs))
    keys = jax.random.split(jax.random.key(0), 3)
    together = jax.vmap(model.init, (0, None))(keys, None)["params"]["first"]["kernel"]
    assert (together[0] != together[1]).any()
    alone = model.init(keys[1])["params"]["first"]["kernel"]
    np.testing.assert_allclose(together[1], alone, atol=1e-6)


def test_a_module_brings_its_own_values_and_stays_as_it_was(batch):
    module = NNX(0.0, rngs=nnx.Rngs(3))
    kernel = jnp.array(module.first.kernel[...])
    model, tx = from_nnx(module), optax.sgd(0.5)
    state = init_state(jax.random.key(0), Forward(model), tx, batch["x"])
    np.testing.assert_array_equal(state.params["first"]["kernel"], kernel)
    after, _ = jax.jit(make_step(Forward(model), Objective(softmax_cross_entropy), tx))(
        state, batch
    )
    assert (after.params["first"]["kernel"] != kernel).any()
    np.testing.assert_array_equal(module.first.kernel[...], kernel)
    module.eval()
    found = model.apply({"params": state.params, **state.model_state}, batch["x"])
    np.testing.assert_array_equal(found, module(batch["x"]))


def test_variables_of_its_own_are_carried(batch):
    model = from_nnx(lambda rngs: Counting(rngs))
    variables = model.init(jax.random.key(0))
    assert variables["other"]["calls"] == 0
    _, state = model.apply(variables, batch["x"], train=True, mutable=["other"])
    assert state == {"other": {"calls": 1}}
    _, state = model.apply(variables, batch["x"], train=False, mutable=True)
    assert state["other"]["calls"] == 0 and "params" in state


def test_trains_from_a_configuration(tmp_path):
    overrides = ["train.epochs=20", "optimizer.learning_rate=1e-2"]
    config = jaxopt_lab.load_config(CONFIG, overrides)
    model = from_nnx(lambda rngs: NNX(0.0, 64, rngs=rngs))
    result = jaxopt_lab.train(config, tmp_path / "run", model=model, progress=False)
    assert result.test["accuracy"] > 0.8  # six hidden units


def test_anything_else_is_refused():
    with pytest.raises(InputError, match=r"needs an nnx\.Module or a function rngs -> module"):
        from_nnx(3)
    with pytest.raises(InputError, match="got a Linen module, which can be used as it is"):
        from_nnx(linen.Dense(3))  # pyright: ignore
    with pytest.raises(InputError, match=r"Dense must return an nnx\.Module"):
        from_nnx(linen.Dense)  # pyright: ignore
    with pytest.raises(InputError, match=r"give lambda rngs: Linear\(\.\.\., rngs=rngs\)"):
        from_nnx(nnx.Linear)  # pyright: ignore
