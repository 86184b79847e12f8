"""Normalizations against PyTorch's recorded layers and their formulas, in every kind of input."""

import functools
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import Forward, reestimate_statistics
from jaxopt_lab.nn import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    normalization,
    refuse_lone_values,
)

RECORD = np.load(pathlib.Path(__file__).parents[1] / "references" / "layers_torch.npz")
LAYERS = {
    "batch_train": (BatchNorm(), True),
    "batch_eval": (BatchNorm(), False),
    "group": (GroupNorm(2), True),
    "layer": (LayerNorm(), True),
    "instance": (InstanceNorm(), False),
}
EVERY = [BatchNorm(), GroupNorm(), LayerNorm(), InstanceNorm()]


def recorded(name):
    return {key.partition("/")[2]: RECORD[key] for key in RECORD if key.startswith(f"{name}/")}


def by_definition(layer, x):
    """Normalized in float64, without scale and bias."""
    x = np.asarray(x, np.float64)
    if not x.size:
        return x
    if isinstance(layer, BatchNorm):
        split, axes = x, tuple(range(x.ndim - 1))
    else:
        groups = layer._count(x.shape)
        split, axes = x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups), (1, 3)
    mean, var = split.mean(axes, keepdims=True), split.var(axes, keepdims=True)
    return ((split - mean) / np.sqrt(var + layer.epsilon)).reshape(x.shape)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", LAYERS)
def test_value_and_gradients_equal_pytorchs(name):
    layer, train = LAYERS[name]
    given = recorded(name)
    statistics = {"mean": jnp.zeros(6), "var": jnp.ones(6)}
    if name == "batch_eval":
        statistics = {key: jnp.asarray(given[key]) for key in statistics}

    @jax.jit
    def both(params, x):
        def loss(params, x):
            y, state = layer.apply(
                {"params": params, "batch_stats": statistics}, x, train=train, mutable="batch_stats"
            )
            return jnp.sin(y).sum(), (y, state)

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(params, x)

    params = {"scale": jnp.asarray(given["scale"]), "bias": jnp.asarray(given["bias"])}
    (dparams, dx), (y, state) = both(params, jnp.asarray(given["x"]))
    # float64 on both sides; sums of at most 144 terms
    for found, key in (
        (y, "y"),
        (dx, "dx"),
        (dparams["scale"], "dscale"),
        (dparams["bias"], "dbias"),
    ):
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, given[key], rtol=1e-9, atol=1e-9)
    if name == "batch_train":
        after, n = recorded("batch_eval"), given["x"][..., 0].size
        moved = state["batch_stats"]
        np.testing.assert_allclose(moved["mean"], after["mean"], rtol=1e-9)
        # PyTorch's variance is unbiased: that part of it which is not the first value, 1
        biased = 0.9 + (after["var"] - 0.9) * (n - 1) / n
        np.testing.assert_allclose(moved["var"], biased, rtol=1e-9)


SHAPES = [(4, 3, 5, 6), (1, 3, 2, 1), (3, 1, 1, 4), (0, 3, 2, 4), (5, 4)]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(m, s) for m in EVERY for s in SHAPES if len(s) > 2 or not isinstance(m, InstanceNorm)],
    ids=lambda v: str(v) if isinstance(v, tuple) else type(v).__name__,
)
def test_every_shape_in_bfloat16(layer, shape):
    x = jnp.asarray(np.random.default_rng(0).normal(2, 3, shape), jnp.bfloat16)
    variables = jax.jit(layer.init)(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables["params"]) == {
        "scale": shape[-1:],
        "bias": shape[-1:],
    }
    apply = functools.partial(layer.apply, train=True, mutable=["batch_stats"])
    y, state = jax.jit(apply)(variables, x)
    assert y.shape == shape and y.dtype == jnp.bfloat16
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state))
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((y, state)))
    # One rounding to bfloat16, 2^-9 of the value. Where the variance is 0, float32 statistics leave
    # 1e-7 of the mean, times 1 / sqrt(1e-5).
    expected = by_definition(layer, x)
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=2**-8, atol=1e-3)


@pytest.mark.parametrize("layer", EVERY, ids=lambda m: type(m).__name__)
def test_a_large_mean_costs_no_digits(layer):
    x = np.random.default_rng(1).normal(1e3, 1, (8, 4, 4, 4)).astype(np.float32)
    y, _ = layer.init_with_output(jax.random.key(0), x, train=True)
    # float32 holds 1e3 to 6e-5; E[x^2] - E[x]^2 would be off by 0.1
    np.testing.assert_allclose(y, by_definition(layer, x), atol=3e-4)


def test_one_group_is_layer_norm_and_c_groups_instance_norm():
    x = jnp.asarray(np.random.default_rng(2).normal(size=(2, 3, 3, 4)), jnp.float32)
    for ours, groups in ((LayerNorm(), 1), (InstanceNorm(), 4)):
        left, right = (
            m.init_with_output(jax.random.key(0), x)[0] for m in (ours, GroupNorm(groups))
        )
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(1, 1), (3, 1), (7, 1), (16, 8), (24, 12), (48, 24), (64, 32), (256, 32)],
)
def test_groups_that_fit(channels, groups):
    assert GroupNorm()._count((1, channels)) == groups


def test_batch_norm_equals_flax_and_is_reestimated_by_the_engine():
    rng = np.random.default_rng(3)
    batches = [jnp.asarray(rng.normal(1, 2, (6, 3, 3, 2)), jnp.float32) for _ in range(3)]
    ours, theirs = BatchNorm(), nn.BatchNorm(momentum=0.9)
    variables = ours.init(jax.random.key(0), batches[0], train=True)
    assert jax.tree.structure(variables) == jax.tree.structure(
        theirs.init(jax.random.key(0), batches[0], use_running_average=False)
    )
    left = right = variables["batch_stats"]
    for x in batches:
        own = {"params": variables["params"], "batch_stats": left}
        y, left = ours.apply(own, x, train=True, mutable=["batch_stats"])
        other = {"params": variables["params"], "batch_stats": right}
        z, right = theirs.apply(other, x, use_running_average=False, mutable=["batch_stats"])
        left, right = left["batch_stats"], right["batch_stats"]
        np.testing.assert_allclose(y, z, atol=1e-5)  # Flax's variance cancels
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), left, right)
    state = {"batch_stats": left}
    new = reestimate_statistics(
        Forward(ours), variables["params"], state, batches, jax.random.key(0)
    )
    means = np.mean([x.mean((0, 1, 2)) for x in batches], 0)
    np.testing.assert_allclose(new["batch_stats"]["mean"], means, rtol=1e-4)
    variances = np.mean([x.var((0, 1, 2)) for x in batches], 0)
    np.testing.assert_allclose(new["batch_stats"]["var"], variances, rtol=1e-4)


def test_fields_act_and_nothing_moves_unasked():
    x = jnp.asarray(np.random.default_rng(4).normal(size=(4, 3)), jnp.float32)
    layer = BatchNorm(momentum=0.5, use_bias=False, scale_init=nn.initializers.zeros)
    y, variables = layer.init_with_output(jax.random.key(0), x, train=True)
    assert not y.any() and set(variables["params"]) == {"scale"}
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], jnp.zeros(3))  # not by init
    _, state = layer.apply(variables, x[:0], train=True, mutable=["batch_stats"])
    np.testing.assert_array_equal(state["batch_stats"]["var"], jnp.ones(3))  # nor by no sample
    _, state = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(state["batch_stats"]["mean"], 0.5 * x.mean(0), rtol=1e-5)
    bare = LayerNorm(epsilon=1.0, use_scale=False, use_bias=False)
    y, variables = bare.init_with_output(jax.random.key(0), x)
    assert not variables
    np.testing.assert_allclose(y.var(1), x.var(1) / (x.var(1) + 1), rtol=1e-5)


def test_seeds_are_vmapped_and_jit_is_eager():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, *, train=False):
            for name in ("batch", "layer", "group", "instance"):
                x = normalization(name)(bias_init=nn.initializers.normal())(x, train=train)
            return x

    x = jnp.asarray(np.random.default_rng(5).normal(size=(3, 2, 2, 4)), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 3)

    def run(key):
        variables = Net().init(key, x, train=True)
        return Net().apply(variables, x, train=True, mutable=["batch_stats"])

    together, alone = jax.jit(jax.vmap(run))(keys), run(keys[1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-5), together, alone)
    assert (together[0][0] != together[0][1]).any()


class Around(nn.Module):
    """A layer inside a model of one's own."""

    layer: nn.Module
    given: dict

    @nn.compact
    def __call__(self, x):
        return self.layer(x, **self.given)


TRAIN, BATCH = {"train": True}, {"use_running_average": False}
LONE = [
    (BatchNorm(), TRAIN, (1, 6), (2, 6)),
    (BatchNorm(), TRAIN, (1, 1, 1, 6), (1, 2, 1, 6)),
    (LayerNorm(), TRAIN, (4, 1), (4, 2)),
    (GroupNorm(3), TRAIN, (4, 3), (4, 6)),
    (InstanceNorm(), TRAIN, (4, 1, 1, 6), (4, 2, 1, 6)),
    (nn.BatchNorm(), BATCH, (1, 6), (2, 6)),
    (nn.LayerNorm(), {}, (4, 1), (4, 2)),
    (nn.GroupNorm(3), {}, (4, 1, 1, 3), (4, 2, 1, 3)),
    (nn.GroupNorm(None, group_size=1), {}, (4, 3), (4, 2, 3)),
    (nn.InstanceNorm(), {}, (4, 1, 1, 6), (4, 1, 2, 6)),
]


@pytest.mark.parametrize(("layer", "given", "lone", "fine"), LONE, ids=lambda v: type(v).__name__)
def test_one_value_by_itself_is_refused_in_training(layer, given, lone, fine):
    def shape(x):
        return jax.eval_shape(Around(layer, given).init_with_output, jax.random.key(0), x)[0].shape

    with refuse_lone_values():
        assert shape(jnp.ones(fine)) == fine
        with pytest.raises(InputError, match=f"{type(layer).__name__} of x .*by itself"):
            shape(jnp.ones(lone))
        if given in (TRAIN, BATCH) and "batch" in type(layer).__name__.lower():
            given = {"train": False} if given is TRAIN else {"use_running_average": True}
            assert shape(jnp.ones(lone)) == lone
    assert shape(jnp.ones(lone)) == lone  # a layer alone gives its bias


def test_names():
    assert normalization("none") is None
    assert normalization("layer") is LayerNorm


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: normalization("bacth"), "did you mean 'batch'"),
        (lambda: BatchNorm(momentum=1.0), r"BatchNorm: momentum must be in \[0, 1\)"),
        (lambda: LayerNorm(epsilon=0), "LayerNorm: epsilon must be > 0, got 0"),
        (lambda: GroupNorm(groups=0), "groups must be >= 1"),
        (
            lambda: GroupNorm(4).init(jax.random.key(0), jnp.ones((1, 6))),
            "got 4 groups for 6 channels; it is divided by 1, 2, 3, 6",
        ),
        (
            lambda: InstanceNorm().init(jax.random.key(0), jnp.ones((2, 6))),
            r"got \(2, 6\).*LayerNorm",
        ),
    ],
)
def test_wrong_arguments_are_named(wrong, text):
    with pytest.raises(ValueError, match=text):
        wrong()
