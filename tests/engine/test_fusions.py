"""Which programs are compiled with YNNPACK's fusions, and that they compute the same."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_lab import optimizers
from jaxopt_lab.engine import (
    Batches,
    Forward,
    Objective,
    compile_steps,
    fusions,
    init_state,
    make_step,
)
from jaxopt_lab.engine.fusions import DEFAULT, YNN, fusions_for, has_fusions
from jaxopt_lab.losses import softmax_cross_entropy
from jaxopt_lab.nn import cnn, mlp, plain, resnet, wide_resnet

pytestmark = pytest.mark.skipif(
    not has_fusions(YNN, "cpu"), reason="this jaxlib has no YNNPACK fusions"
)


class OwnNet(nn.Module):
    """Of Flax's own layers, with as many parameters as one likes."""

    hidden: int = 10

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.max_pool(nn.relu(nn.Conv(32, (3, 3))(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Conv(64, (3, 3))(x)).reshape(len(x), -1)
        return nn.Dense(10)(nn.relu(nn.Dense(self.hidden)(x)))


def program_of(model, batch, image=(32, 32, 3), dtype=jnp.float32, tx=None, **how):
    """Of a step, for shapes alone."""
    tx = tx or optimizers.momentum(0.1)
    x = jax.ShapeDtypeStruct((batch, *image), dtype)
    variables = jax.eval_shape(lambda key: model.init(key, jnp.ones((1, *image)), **how), KEY)

    def loss(params, rest, x):
        cast = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
        outputs, _ = model.apply({"params": cast, **rest}, x, train=True, mutable=list(rest))
        return (outputs.astype(jnp.float32) ** 2).mean()

    def step(variables, state, x):
        rest = dict(variables)
        params = rest.pop("params")
        updates, state = tx.update(jax.grad(loss)(params, rest, x), state, params)
        return optax.apply_updates(params, updates), state

    state = jax.eval_shape(tx.init, variables["params"])
    return jax.make_jaxpr(step)(variables, state, x)


KEY = jax.random.key(0)
CASES = {
    "resnet20": (lambda: program_of(resnet(10, depth=20), 128), YNN),
    "wide resnet": (lambda: program_of(wide_resnet(10, depth=10, width=2), 32), YNN),
    "plain": (lambda: program_of(plain(10, depth=8), 128), YNN),
    "cnn": (lambda: program_of(cnn(10, channels=(32, 64, 128)), 128), YNN),
    "cnn of digits": (lambda: program_of(cnn(10, channels=(16, 32)), 64, (8, 8, 1)), DEFAULT),
    "of Flax": (lambda: program_of(OwnNet(), 128), YNN),
    "of Flax, 8 images": (lambda: program_of(OwnNet(), 8), DEFAULT),
    "of Flax, bfloat16": (lambda: program_of(OwnNet(), 128, dtype=jnp.bfloat16), DEFAULT),
    "of Flax, products more": (lambda: program_of(OwnNet(512), 128), DEFAULT),
    "of Flax, an optimizer more": (
        lambda: program_of(OwnNet(512), 32, tx=optimizers.adam(1e-3)),
        DEFAULT,
    ),
    "mlp": (lambda: program_of(mlp(10, hidden=(2048, 2048)), 512, (64,)), DEFAULT),
    "nothing": (lambda: jax.make_jaxpr(lambda: 0)(), DEFAULT),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "wide resnet" else n for n in CASES]
)
def test_the_choice_by_the_program(name):
    make, wanted = CASES[name]
    assert fusions_for(make(), "cpu") == wanted


def test_an_optimizer_alone_and_other_platforms_and_parts_of_a_batch_keep_the_default():
    tx, params = optimizers.adam(1e-3), {"w": jax.ShapeDtypeStruct((5000, 5000), jnp.float32)}
    state = jax.eval_shape(tx.init, params)
    assert fusions_for(jax.make_jaxpr(tx.update)(params, state, params), "cpu") == DEFAULT
    program = CASES["of Flax"][0]()
    assert {fusions_for(program, each) for each in ("gpu", "cuda", "tpu")} == {DEFAULT}
    assert [fusions_for(program, "cpu", devices=n) for n in (2, 16)] == [YNN, DEFAULT]


def test_what_this_jaxlib_does_not_know_is_left_out(monkeypatch):
    program = CASES["of Flax"][0]()
    for options in ({"xla_no_such": "a"}, dict.fromkeys(fusions.options_of(YNN), "NOTHING")):
        monkeypatch.setitem(fusions._OPTIONS, YNN, options)
        assert not has_fusions(YNN, "cpu") and has_fusions(DEFAULT, "cpu")
        assert fusions_for(program, "cpu") == DEFAULT
    assert not has_fusions("of another version", "cpu")


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("dispatch", [None, 1])
def test_computes_what_the_default_does(norm, dispatch, trainable):
    step, state, data = trainable(cnn(3, channels=(8, 8), norm=norm))
    found = {}
    for name in (DEFAULT, YNN):
        steps = compile_steps(step, state(), data, Batches(16), dispatch, fusions=name)
        assert steps.fusions == name and steps.in_loop == (dispatch is None)
        found[name] = steps.advance(state(), 0, 3)
        again = steps.advance(state(), 0, 3)
        jax.tree.map(np.testing.assert_array_equal, plain_of(again), plain_of(found[name]))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)  # noqa: E731
    jax.tree.map(close, plain_of(found[YNN]), plain_of(found[DEFAULT]))


def plain_of(found):
    state, rows = found
    return [state.params, state.model_state, rows]


@pytest.fixture
def trainable():
    """`model -> (step, () -> state, data on the device)` of 48 images of noise."""
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(48, 8, 8, 1)).astype("f"), "y": np.arange(48) % 3}

    def make(model):
        forward, tx = Forward(model), optimizers.momentum(0.1)
        step = make_step(forward, Objective(softmax_cross_entropy), tx)
        state = jax.jit(lambda key: init_state(key, forward, tx, data["x"][:1]))
        return step, lambda: state(jax.random.key(0)), jax.device_put(data)

    return make
