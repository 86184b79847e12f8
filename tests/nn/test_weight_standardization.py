"""Weight standardization of `Conv` and `Dense` against PyTorch's record and its definition."""

import functools
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.nn import Conv, Dense, scaled_standardize, standardize

RECORD = np.load(pathlib.Path(__file__).parents[1] / "references" / "layers_torch.npz")
# LLVM's passes do not run, which halves the time of a compilation.
KINDS = ["standard", "scaled"]


@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradients_equal_pytorchs(kind):
    given = {key.partition("/")[2]: RECORD[key] for key in RECORD if key.startswith(f"{kind}/")}
    layer = Conv(4, (3, 2), padding="VALID", feature_group_count=2, weight_standardization=kind)
    names = ["kernel", "bias"] + ["gain"] * (kind == "scaled")
    params = {name: jnp.asarray(given[name], jnp.float32) for name in names}
    x = jnp.asarray(given["x"], jnp.float32)

    def loss(params, x):
        y = layer.apply({"params": params}, x)
        return jnp.sin(y).sum(), y

    (dparams, dx), y = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(params, x)
    # float32 against float64; y is of order 5
    np.testing.assert_allclose(y, given["y"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(dx, given["dx"], rtol=1e-4, atol=1e-5)
    for name in names:
        np.testing.assert_allclose(dparams[name], given[f"d{name}"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (40, 5)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_mean_zero_and_set_variance_of_each_output_unit(shape, dtype):
    kernel = jnp.asarray(np.random.default_rng(0).normal(3, 0.5, shape), dtype)
    gain = jnp.arange(1.0, shape[-1] + 1)
    # Rounding to bfloat16 is 2^-9 of a weight; float32 leaves what 1e-5 beside std = 0.5 does.
    atol = 2**-7 if dtype == jnp.bfloat16 else 2e-4
    for made, variance in (
        (standardize(kernel), np.ones(shape[-1])),
        (scaled_standardize(kernel, gain), np.square(gain) * shape[-1] / kernel.size),
    ):
        assert made.dtype == dtype and made.shape == shape
        rows = np.asarray(made, np.float64).reshape(-1, shape[-1])
        np.testing.assert_allclose(rows.mean(0) / np.sqrt(variance), 0, atol=atol)
        np.testing.assert_allclose(rows.var(0) / variance, 1, atol=2 * atol)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "make", [functools.partial(Conv, 6, (3, 3)), functools.partial(Dense, 6)], ids=["conv", "dense"]
)
def test_stored_is_the_raw_kernel(make, kind):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 5, 5, 4)), jnp.float32)
    own, plain = make(weight_standardization=kind), make()
    variables, raw = (jax.jit(m.init)(jax.random.key(0), x) for m in (own, plain))
    gain = variables["params"].pop("gain", None)
    assert (gain is not None) == (kind == "scaled")
    jax.tree.map(np.testing.assert_array_equal, variables, raw)
    kernel = raw["params"]["kernel"]
    new = standardize(kernel) if kind == "standard" else scaled_standardize(kernel, gain)
    expected = plain.apply({"params": raw["params"] | {"kernel": new}}, x)
    params = variables["params"] | ({} if gain is None else {"gain": gain})
    np.testing.assert_allclose(own.apply({"params": params}, x), expected, atol=1e-5)
    # A scale and a shift of the raw kernel change nothing.
    moved = {"params": params | {"kernel": 7 * kernel + 3}}
    np.testing.assert_allclose(own.apply(moved, x), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_constant_weights_give_zeros_and_a_finite_gradient(value):
    def both(kernel):
        made = standardize(kernel), scaled_standardize(kernel, jnp.ones(2))
        return made[0].sum() + made[1].sum(), made

    gradient, made = jax.jit(jax.grad(both, has_aux=True))(jnp.full((3, 2), value))
    assert jnp.isfinite(gradient).all()
    np.testing.assert_allclose(made, np.zeros((2, 3, 2)), atol=1e-5)  # the mean rounds


def test_seeds_are_vmapped():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = Conv(3, (2, 2), weight_standardization="scaled")(x)
            return Dense(2, weight_standardization="standard")(x)

    x = jnp.asarray(np.random.default_rng(2).normal(size=(2, 3, 3, 1)), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 3)

    def run(key):
        return Net().init_with_output(key, x)

    together, alone = jax.jit(jax.vmap(run))(keys), jax.jit(run)(keys[1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-5), together, alone)


@pytest.mark.parametrize("layer", [Dense, functools.partial(Conv, kernel_size=(1,))])
def test_wrong_arguments_are_named(layer):
    with pytest.raises(ValueError, match=r"weight_standardization must.* did you mean 'scaled'"):
        layer(3, weight_standardization="scale")
