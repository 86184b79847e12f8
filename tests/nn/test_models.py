"""Models: shapes, parameter counts, modes, and vmapped seeds."""

import typing
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import MODELS as CASES

from jaxopt_lab import data, engine, losses, optimizers
from jaxopt_lab.core.ranges import words_of
from jaxopt_lab.nn import MODELS, cnn, linear, mlp, plain, resnet, wide_resnet
from jaxopt_lab.nn.activations import ACTIVATIONS
from jaxopt_lab.nn.initializers import BY_NAME
from jaxopt_lab.nn.layers import Activation, Init, Layers, Norm
from jaxopt_lab.nn.normalizations import NORMALIZATIONS
from jaxopt_lab.nn.residual import BasicBlock
from jaxopt_lab.testing import model as promises


@pytest.fixture(params=MODELS, name="model")
def _model(request):
    return MODELS[request.param](10, **CASES[request.param])


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (1, 5, 7, 3)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_row_of_outputs_a_sample(model, shape, dtype):
    promises.gives_a_row_a_sample(model, shape, dtype, 10)


def test_seeds_are_vmapped(model):
    promises.seeds_are_vmapped(model, jnp.ones((1, 8, 8, 1)))


def count(model, shape):
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.ones(shape))
    return sum(x.size for x in jax.tree.leaves(variables["params"]))


def test_parameter_counts():
    assert count(mlp(10, hidden=[128, 128]), (1, 8, 8, 1)) == 65 * 128 + 129 * 128 + 129 * 10
    assert count(mlp(3, hidden=[]), (1, 4)) == 15
    assert count(mlp(3, hidden=[7], unit="maxout", pieces=4), (1, 5)) == 4 * 6 * 7 + 8 * 3
    assert count(mlp(3, hidden=[7], unit="max_plus"), (1, 5)) == 6 * 7 + 7 * 7 + 8 * 3
    assert count(cnn(10, channels=[4], norm="none"), (1, 8, 8, 3)) == 27 * 4 + 4 + 50
    assert count(cnn(10, channels=[4, 6]), (1, 8, 8, 3)) == 27 * 4 + 8 + 36 * 6 + 12 + 70


@pytest.mark.parametrize(
    ("model", "millions"),  # of the papers' tables, and of PyTorch's usual ResNet-18 for CIFAR
    [
        (resnet(10), 0.27),
        (resnet(10, depth=32), 0.46),
        (resnet(10, depth=44), 0.66),
        (resnet(10, depth=56), 0.85),
        (resnet(10, depth=110), 1.7),
        (wide_resnet(10), 36.5),
        (wide_resnet(10, depth=40, width=4), 8.9),
        (wide_resnet(10, depth=16, width=8), 11.0),
    ],
)
def test_parameter_counts_of_the_papers(model, millions):
    digits = len(str(millions).partition(".")[2])
    assert round(count(model, (1, 32, 32, 3)) / 1e6, digits) == millions


def test_parameter_counts_of_well_known_code():
    assert count(resnet(10), (1, 32, 32, 3)) == 269_722
    assert count(resnet(10, depth=18), (1, 32, 32, 3)) == 11_173_962
    assert count(wide_resnet(10), (1, 32, 32, 3)) == 36_479_194
    assert count(plain(10), (1, 32, 32, 3)) == 269_722
    assert count(linear(10), (1, 32, 32, 3)) == 30_730


def test_the_words_of_the_signatures_are_the_tables():
    assert typing.get_args(Activation) == tuple(ACTIVATIONS)
    assert set(typing.get_args(Norm)) == set(NORMALIZATIONS)
    assert words_of(Init) == tuple(BY_NAME)


OPTIONS = [
    {"norm": norm, "activation": activation, "init": init, "weight_standardization": ws}
    for norm, activation, init, ws in [
        ("none", "leaky_relu", "gaussian", "scaled"),
        ("batch", "elu", "glorot_uniform", "none"),
        ("layer", "prelu", "glorot_normal", "none"),
        ("group", "gelu", "orthogonal", "standard"),
        ("instance", "silu", "delta_orthogonal", "none"),
        ("batch", "tanh", "he_uniform", "standard"),
        ("group", "sigmoid", "he_normal", "none"),
    ]
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o.values()))
@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet", "wide_resnet", "plain"])
def test_every_choice_of_layers(name, options):
    if name == "mlp" and options["norm"] == "instance":
        pytest.skip("a sample's dense features have no space")
    model, x = MODELS[name](3, **CASES[name] | options, bias_init=1.0), jnp.ones((2, 8, 8, 3))

    def outputs(key):
        variables = model.init(key, x)
        y, _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
        return variables, y

    variables, y = jax.eval_shape(outputs, jax.random.key(0))
    names = {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(variables["params"])}
    assert y.shape == (2, 3)
    assert ("scale" in names) == (options["norm"] != "none")
    assert ("gain" in names) == (options["weight_standardization"] == "scaled")
    assert ("negative_slope" in names) == (options["activation"] == "prelu")
    assert ("batch_stats" in variables) == (options["norm"] == "batch")


@pytest.mark.parametrize("model", [linear(3), mlp(3, hidden=[4], norm="batch")])
def test_an_empty_batch(model):
    variables = model.init(jax.random.key(0), jnp.zeros((1, 2, 2, 1)))
    x, train = jnp.zeros((0, 2, 2, 1)), {"train": True, "mutable": ["batch_stats"]}
    assert model.apply(variables, x).shape == (0, 3)
    assert model.apply(variables, x, **train)[0].shape == (0, 3)


def test_biases_of_the_course_start_at_one():
    params = cnn(10, norm="none", bias_init=1.0).init(jax.random.key(0), jnp.ones((1, 8, 8, 1)))
    biases = [p for p in jax.tree.leaves(params) if p.ndim == 1]
    assert len(biases) == 4 and all((b == 1).all() for b in biases)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_block_with_zero_init_is_the_identity(norm):
    block = BasicBlock(4, 1, "identity", True, Layers(norm, "relu", "he_normal", 0.0, "none"))
    x = jax.random.uniform(jax.random.key(0), (2, 5, 5, 4))
    variables = block.init(jax.random.key(1), x, train=False)
    np.testing.assert_array_equal(block.apply(variables, x, train=False), x)


def test_the_shortcut_without_parameters_drops_pixels_and_adds_channels():
    layers = Layers("none", "relu", "he_normal", 0.0, "none")
    block = BasicBlock(6, 2, "identity", True, layers)
    x = jax.random.uniform(jax.random.key(0), (2, 5, 5, 4))
    y = block.apply(block.init(jax.random.key(1), x, train=False), x, train=False)
    np.testing.assert_array_equal(y[..., :4], x[:, ::2, ::2])
    np.testing.assert_array_equal(y[..., 4:], 0)


def test_a_deep_plain_network_does_not_train_and_its_residual_twin_does():
    train = {k: jnp.asarray(v) for k, v in data.digits().train.items()}
    rows = jax.random.randint(jax.random.key(1), (60, 32), 0, len(train["y"]))

    @partial(jax.jit, static_argnums=0)
    def losses_of(model):
        tx = optimizers.momentum(0.05)
        forward = engine.Forward(model, lambda x: x / 127.5 - 1)
        step = engine.make_step(forward, engine.Objective(losses.softmax_cross_entropy), tx)
        state = engine.init_state(jax.random.key(0), forward, tx, jnp.zeros((1, 8, 8, 1)))
        body = lambda s, i: step(s, {k: v[i] for k, v in train.items()})  # noqa: E731
        return jax.lax.scan(body, state, rows)[1]["loss"]

    # 32 layers. Seen: 0.27 with shortcuts, 1.80 without, 2.29 = log 10 without normalization too.
    assert losses_of(resnet(10, depth=32, width=8))[-5:].mean() < 0.5
    assert losses_of(plain(10, depth=32, width=8))[-5:].mean() > 1.2
    stuck = losses_of(plain(10, depth=32, width=8, norm="none"))
    np.testing.assert_allclose(stuck[-5:].mean(), np.log(10), atol=0.05)


@pytest.mark.parametrize(
    "model",
    [
        mlp(10, dropout=0.5),
        mlp(10, noise=0.5),
        cnn(10, dropout=0.5),
        wide_resnet(10, depth=10, width=1, dropout=0.5),
    ],
    ids=lambda m: type(m).__name__,
)
def test_noise_acts_in_training_only(model):
    promises.noise_acts_in_training_only(model, jnp.ones((4, 8, 8, 1)))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: mlp(10, activation="rellu"), "did you mean 'relu'"),
        (lambda: mlp(0), "outputs must be >= 1"),
        (lambda: mlp(10, hidden=[0]), "hidden holds a value that must be >= 1"),
        (lambda: mlp(10, dropout=1.0), r"dropout must be in \[0, 1\)"),
        (lambda: cnn(10, norm="btach"), "did you mean 'batch'"),
        (lambda: mlp(10, norm="instance"), "norm must be 'none' or 'batch'"),
        (lambda: resnet(10, depth=21), r"depth must be 6 n \+ 2 .* got 21"),
        (
            lambda: resnet(10, zero_init=True, norm="none", weight_standardization="standard"),
            "zero_init has no scale",
        ),
        (lambda: wide_resnet(10, depth=20), r"depth must be 6 n \+ 4 .* got 20"),
        (lambda: resnet(10, init="he_norm"), "did you mean 'he_normal'"),
        (lambda: cnn(10, channels=[]), "channels must hold at least one"),
        (lambda: mlp(10, hidden=128), r"hidden must be a list or tuple, got 128"),  # pyright: ignore
        *(
            (lambda m=m: m.init(jax.random.key(0), jnp.zeros((2, 64))), r"images .*, got \(2, 64\)")
            for m in (cnn(10), resnet(10), wide_resnet(10, depth=10, width=1))
        ),
    ],
)
def test_wrong_arguments_are_named(wrong, text):
    with pytest.raises(ValueError, match=text):
        wrong()
