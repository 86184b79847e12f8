"""Dead and saturated units against constructed ones, for every activation and kind of model."""

import dataclasses

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab import nn
from jaxopt_lab.core.errors import ArgumentError, InputError
from jaxopt_lab.diagnostics import activation_health, judge_activation_health
from jaxopt_lab.nn.activations import ACTIVATIONS

X = jax.random.normal(jax.random.key(0), (64, 8))
IMAGES = jax.random.normal(jax.random.key(1), (4, 8, 8, 3))


def health_of(model, x, **change):
    """Of a Linen model in training, its parameters changed by name."""
    variables = model.init(jax.random.key(2), x, train=True)
    rest = {k: v for k, v in variables.items() if k != "params"}
    rngs = {"dropout": jax.random.key(3)}

    def apply(params, x):
        return model.apply({"params": params, **rest}, x, train=True, mutable=True, rngs=rngs)

    params = variables["params"]
    for name, leaf in change.items():
        params = {**params, name: {**params[name], **leaf}}
    return activation_health(apply, params, x)


def test_constructed_dead_units():
    # A bias of -100 kills a ReLU for every sample, and one of +10 makes it linear.
    bias = jnp.asarray([-100.0] * 3 + [0.0] * 4 + [10.0])
    change = {"Dense_0": {"bias": bias}, "Dense_1": {"bias": jnp.full(6, 99.0)}}
    health = health_of(nn.mlp(2, hidden=(8, 6)), X, **change)
    assert health.layers == ("Dense_0", "Dense_1", "Dense_2")
    assert health.names == ("relu", "relu", "none")
    np.testing.assert_array_equal(health.units, [8, 6, 2])
    np.testing.assert_array_equal(health.sides, [1, 1, 0])
    np.testing.assert_allclose(health.dead[0], 3 / 8)
    assert 3 / 8 < health.saturated[0] < 7 / 8
    assert health.dead[2] == health.saturated[2] == 0
    verdict = judge_activation_health(health, dead=0.3)
    assert verdict.kind == "dead" and verdict.layer == "Dense_0"
    assert verdict.evidence["dead"] == 0.375
    assert any("leaky ReLU" in remedy for remedy in verdict.remedies)
    assert judge_activation_health(health, dead=0.4).kind == "healthy"


class Convolution(linen.Module):
    """One layer, whose units lie along the last axis of images."""

    @linen.compact
    def __call__(self, x, *, train=False):
        x = nn.BatchNorm()(nn.Conv(8, (3, 3), strides=2)(x), train=train)
        return linen.Dense(2)(linen.relu(x).mean((1, 2)))


def test_a_channel_is_dead_where_it_is_at_all_positions():
    shift = jnp.asarray([-100.0, -100.0] + [0.0] * 6)
    health = health_of(Convolution(), IMAGES, BatchNorm_0={"bias": shift})
    assert health.layers == ("Conv_0", "Dense_0") and health.names == ("relu", "none")
    np.testing.assert_array_equal(health.units, [8, 2])
    np.testing.assert_allclose(health.dead, [2 / 8, 0])
    np.testing.assert_allclose(health.saturated[0], 2 / 8 + 0.5 * 6 / 8, atol=0.05)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_by_its_own_derivative(name):
    """Against the derivative in NumPy's words, at pre-activations that are given."""
    z = jnp.concatenate([jnp.linspace(-12, 12, 48)[:, None], jnp.full((48, 1), -20.0)], 1)

    class Given(linen.Module):
        @linen.compact
        def __call__(self, x, *, train=False):
            y = linen.Dense(2, name="layer", kernel_init=lambda *_: jnp.eye(2))(x)
            return linen.Dense(1, name="out")(ACTIVATIONS[name](y))

    slopes = {
        "relu": lambda z: z > 0,
        "leaky_relu": lambda z: np.where(z > 0, 1, 0.01),
        "prelu": lambda z: np.where(z > 0, 1, 0.25),
        "elu": lambda z: np.exp(np.minimum(z, 0)),
        "tanh": lambda z: 1 - np.tanh(z) ** 2,
        "sigmoid": lambda z: 1 / (2 + np.exp(z) + np.exp(-z)),
    }
    health = health_of(Given(), z)
    f = jax.vmap(
        jax.vmap(jax.grad(lambda v: {"prelu": jax.nn.leaky_relu}.get(name, ACTIVATIONS[name])(v)))
    )
    slope = np.asarray(slopes[name](np.asarray(z, np.float64)) if name in slopes else f(z))
    steepest = {"sigmoid": 0.25, "gelu": 1.129, "silu": 1.0998}.get(name, 1.0)
    flat = np.abs(slope) < 0.005 * steepest
    np.testing.assert_allclose(health.saturated[0], flat.mean(), atol=1e-6)
    np.testing.assert_allclose(health.dead[0], flat.all(0).mean(), atol=1e-6)
    sides = {"tanh": 2, "sigmoid": 2, "leaky_relu": 0, "prelu": 0}.get(name, 1)
    assert health.sides[0] == sides and health.layers == ("layer", "out")


SPELLED = {
    "sigmoid": (lambda z: 1 / (1 + jnp.exp(-z)), jax.nn.sigmoid),
    "swish": (lambda z: z * jax.nn.sigmoid(z), jax.nn.silu),
    "relu": (lambda z: jnp.where(z > 0, z, 0.0), jax.nn.relu),
    "hard_tanh": (lambda z: jnp.clip(z, -1, 1), jax.nn.hard_tanh),
    "remat": (jax.checkpoint(lambda z: jnp.tanh(z)), jnp.tanh),
    "jit": (jax.jit(lambda z: 2 * jax.nn.softplus(z) + 1), jax.nn.softplus),
    "normalized": (lambda z: jnp.tanh((z - z.mean(0)[None]) / z.std(0)[None]), None),
    "softmax": (jax.nn.softmax, None),
    "gated": (lambda z: jax.nn.sigmoid(z[:, :3]) * z[:, 3:], None),
}


@pytest.mark.parametrize("name", SPELLED)
def test_activations_that_a_program_spells_out(name):
    spelled, called = SPELLED[name]
    w = jax.random.normal(jax.random.key(5), (8, 6))

    def apply(f):
        return lambda p, x: f(x @ p["w"])

    found = activation_health(apply(spelled), {"w": w}, X)
    assert found.layers == ("w",)
    if called is not None:
        expected = activation_health(apply(called), {"w": w}, X)
        np.testing.assert_allclose(found.saturated, expected.saturated, atol=1e-6)
        np.testing.assert_array_equal(found.sides, expected.sides)
    elif name == "normalized":  # z is what the activation is given
        np.testing.assert_allclose(found.input_rms, 1, rtol=1e-5)
        np.testing.assert_allclose(found.input_spread, 1, rtol=1e-5)
    elif name == "gated":
        np.testing.assert_array_equal(found.units, [3])
        assert found.names == ("sigmoid",)
    else:
        assert found.names == ("none",)


def test_norms_and_spread():
    w = {"a": jnp.eye(8), "b": 2 * jnp.eye(8)}
    health = activation_health(lambda p, x: jnp.tanh(x @ p["a"]) @ p["b"], w, X)
    z, y = np.asarray(X, np.float64), np.tanh(np.asarray(X, np.float64))
    np.testing.assert_allclose(
        health.input_rms, [(z**2).mean() ** 0.5, (4 * y**2).mean() ** 0.5], rtol=1e-5
    )
    np.testing.assert_allclose(health.rms[0], (y**2).mean() ** 0.5, rtol=1e-5)
    np.testing.assert_allclose(health.input_spread[0], z.var(0).mean() ** 0.5, rtol=1e-5)


DEEP = [f"layer_{i}" for i in range(8)]


def tanh_network(p, x):
    for name in DEEP:
        x = jnp.tanh(x @ p[name])
    return x


def sigmoid_network(p, x):
    for name in DEEP:
        x = jax.nn.sigmoid(x @ p[name])
    return x


def test_verdicts():
    draw = nn.orthogonal()
    params = {k: draw(jax.random.key(i), (8, 8)) for i, k in enumerate(DEEP)}

    def judged(scale, apply=tanh_network):
        scaled = jax.tree.map(lambda p: scale * p, params)
        return judge_activation_health(activation_health(apply, scaled, X))

    healthy = judged(1.0)
    assert healthy.kind == "healthy" and healthy.layer is None and healthy.remedies == ()
    large = judged(30.0)
    assert large.kind == "saturated" and large.evidence["saturated"] > 0.75
    # That of the output alone is what a trained classifier has.
    one = {name: params[name] for name in DEEP[:-1]} | {DEEP[-1]: 90 * params[DEEP[-1]]}
    health = activation_health(tanh_network, one, X)
    assert health.saturated[-1] > 0.75 and judge_activation_health(health).kind == "healthy"
    small = judged(0.1)
    assert small.kind == "vanishing" and small.layer == "layer_7"
    np.testing.assert_allclose(small.evidence["rms"] / small.evidence["rms_first"], 1e-7, rtol=0.1)
    assert judged(float("nan")).kind == "diverged"
    # A sigmoid network forgets its samples while its activations keep their size.
    verdict = judged(1.0, sigmoid_network)
    assert verdict.kind == "vanishing" and verdict.evidence["rms"] > 0.1
    health = activation_health(tanh_network, params, X)
    grown = dataclasses.replace(health, input_rms=health.input_rms * 4.0 ** jnp.arange(8))
    assert judge_activation_health(grown).kind == "exploding"
    with pytest.raises(InputError, match=r"traced.*judge it outside"):
        jax.jit(judge_activation_health)(health)


def seen(model, x):
    """Layers and activations, without computing anything."""
    health = jax.eval_shape(lambda x: health_of(model, x), x)
    return list(zip(health.layers, health.names, strict=True))


def test_models_of_the_house():
    relus = lambda model, x: [layer for layer, name in seen(model, x) if name == "relu"]  # noqa: E731
    blocks = [f"BasicBlock_{i}/Conv_{j}" for i in range(3) for j in range(2)]
    assert relus(nn.resnet(3, depth=8), IMAGES) == ["Conv_0", *blocks]
    assert len(relus(nn.wide_resnet(3, depth=10, width=1), IMAGES)) == 7
    assert relus(nn.cnn(3), IMAGES) == ["Conv_0", "Conv_1", "Conv_2"]
    # Units that select a value bend none.
    assert seen(nn.mlp(3, hidden=(7,), unit="maxout"), X)[0] == ("Maxout_0/affine", "none")
    assert seen(nn.mlp(3, hidden=(7,), unit="max_plus"), X)[0] == ("Dense_0", "none")


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_floats_and_a_single_sample(dtype):
    w = {"w": jnp.asarray([[1.0, -1.0, 9.0]], dtype)}
    apply = lambda p, x: jnp.tanh(x @ p["w"])  # noqa: E731
    health = activation_health(apply, w, jnp.ones((1, 1), dtype))
    assert health.rms.dtype == jnp.float32
    np.testing.assert_allclose([health.dead[0], health.saturated[0]], 1 / 3, rtol=1e-6)
    assert health.input_spread[0] == 0 and judge_activation_health(health).kind == "healthy"


def test_jit_equals_eager_and_vmap_equals_one_at_a_time():
    w = {"w": jax.random.normal(jax.random.key(0), (3, 8, 5))}
    run = lambda w: activation_health(lambda p, x: jax.nn.relu(x @ p["w"]), w, X)  # noqa: E731
    many = jax.jit(jax.vmap(run))(w)
    one = run({"w": w["w"][1]})
    assert many.layers == one.layers
    for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a[1], b, rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_float64():
    w = {"w": jnp.eye(3, dtype=jnp.float64)}
    health = activation_health(lambda p, x: jnp.tanh(x @ p["w"]), w, jnp.ones((2, 3)) / 3)
    assert health.rms.dtype == jnp.float64
    np.testing.assert_allclose(health.rms, np.tanh(1 / 3), rtol=1e-15)


class Mixture(linen.Module):
    """An embedding, attention, dropout, a pooling window before its activation, a shared layer."""

    @linen.compact
    def __call__(self, x, *, train=False):
        x = linen.Embed(9, 8)(x)
        x = x + linen.MultiHeadDotProductAttention(2, name="mix")(linen.LayerNorm()(x))
        shared = linen.Dense(8, name="shared")
        x = linen.Dropout(0.5, deterministic=not train)(linen.gelu(shared(x)))
        x = linen.relu(linen.max_pool(linen.Conv(4, (3,))(x), (2,)))
        return linen.softmax(linen.Dense(8)(jnp.tanh(shared(jnp.concatenate([x, x], -1)))))


def test_embeddings_attention_pooling_dropout_and_shared_layers():
    found = seen(Mixture(), jnp.zeros((3, 6), int))
    assert found == [
        ("Embed_0", "none"),
        *((f"mix/{name}", "none") for name in ("query", "key", "value", "out")),
        ("shared", "product(tanh)"),
        ("Conv_0", "relu"),
        ("shared", "tanh"),
        ("Dense_0", "none"),
    ]


def test_what_is_scanned_is_not_seen():
    def apply(p, x):
        x, _ = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, p["scanned"])
        return jax.nn.relu(x @ p["seen"])

    params = {"scanned": jnp.ones((3, 8, 8)), "seen": jnp.ones((8, 2))}
    assert activation_health(apply, params, X).layers == ("seen",)
    with pytest.raises(InputError, match=r"no layer that can be seen.*unroll"):
        activation_health(lambda p, x: jnp.tanh(x), params, X)


def test_bad_input_is_told():
    with pytest.raises(InputError, match="at least one sample"):
        activation_health(lambda p, x: x @ p, jnp.eye(8), X[:0])
    with pytest.raises(ArgumentError, match="threshold must be in"):
        activation_health(lambda p, x: x @ p, jnp.eye(8), X, threshold=1.0)
