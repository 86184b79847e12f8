"""Kronecker factors against explicit matrices, and which layers have them."""

import dataclasses

import flax.linen as fnn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from second_order.making import cross_entropy, problem, solved

from jaxopt_lab import nn
from jaxopt_lab import second_order as so

KEY = jax.random.key(0)


def squared(outputs, labels):
    """As the package's, in the outputs' precision."""
    return ((outputs - labels) ** 2).sum(-1)


class Chain(fnn.Module):
    """A list of modules, one after another."""

    parts: tuple

    @fnn.compact
    def __call__(self, x):
        for part in self.parts:
            x = part(x)
        return x.reshape(len(x), -1)


def curvature_of(model, x, loss=squared):
    params = jax.tree.map(
        lambda p: jax.random.normal(KEY, p.shape, x.dtype),
        jax.eval_shape(model.init, KEY, x)["params"],
    )

    def model_fn(params, batch):
        return model.apply({"params": params}, batch["x"])

    z = jax.eval_shape(model_fn, params, {"x": x})
    batch = {"x": x, "y": jnp.ones(z.shape, x.dtype)}
    return so.Curvature(params, model_fn, loss, batch, KEY, so.normal)


@pytest.mark.usefixtures("x64")
def test_a_linear_network_has_exactly_these_blocks():
    keep = {"param_dtype": jnp.float64, "dtype": jnp.float64}
    parts = (
        nn.Conv(3, (2, 2), padding="VALID", **keep),  # to one position: a Dense layer, as it were
        nn.Dense(4, **keep),
        fnn.Dense(2, use_bias=False, **keep),
    )
    x = jax.random.normal(jax.random.key(1), (6, 2, 2, 2), jnp.float64)
    c = curvature_of(Chain(parts), x)
    factors = jax.jit(lambda c: c.kron_factors(kind="ggn"))(c)
    assert factors.diagonal == {} and len(factors.layers) == 3
    for name, (a, g) in factors.layers.items():
        layer = c.params[name.removesuffix("/kernel")]

        def outputs(layer, name=name):
            params = {**c.params, name.removesuffix("/kernel"): layer}
            return c.model_fn(params, c.batch)

        jacobian = jax.jit(jax.jacrev(outputs))(layer)
        rows = [jacobian[k].reshape(6, 2, -1) for k in ("kernel", "bias") if k in jacobian]
        rows = np.concatenate(rows, -1)
        block = np.einsum("bki,bkj->ij", rows, 2 * rows) / 6  # the Hessian of the loss is 2 I
        np.testing.assert_allclose(np.kron(a, g), block, rtol=1e-8, atol=1e-10, err_msg=name)


def by_hand(curvature, labels):
    """A and G of both layers of the small perceptron, in numpy."""
    first, second = (curvature.params[f"Dense_{i}"] for i in (0, 1))
    x = np.asarray(curvature.batch["x"], np.float64)
    w1, b1, w2, b2 = (np.asarray(p[k]) for p in (first, second) for k in ("kernel", "bias"))
    h = np.tanh(x @ w1 + b1)
    z = h @ w2 + b2
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    g2 = p - np.eye(3)[np.asarray(labels)]
    g1 = (g2 @ w2.T) * (1 - h**2)

    def covariance(rows):
        return rows.T @ rows / len(rows)

    def with_one(rows):
        return np.concatenate([rows, np.ones((len(rows), 1))], 1)

    return {
        "Dense_0/kernel": (covariance(with_one(x)), covariance(g1)),
        "Dense_1/kernel": (covariance(with_one(h)), covariance(g2)),
    }


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", ["mc", "empirical"])
def test_factors_of_both_fishers_by_hand(kind):
    c, _ = solved("mlp", jnp.float64)
    labels = c.sampled_labels() if kind == "mc" else c.batch["y"]
    found = jax.jit(lambda c: c.kron_factors(kind=kind))(c).layers
    for name, pair in by_hand(c, labels).items():
        for a, b in zip(found[name], pair, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_float32_factors():
    _, c = problem()
    found = jax.jit(lambda c: c.kron_factors(kind="empirical"))(c).layers
    for name, pair in by_hand(c, c.batch["y"]).items():
        for a, b in zip(found[name], pair, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "SAME"},
        {"padding": "SAME", "strides": (2, 1), "kernel_dilation": 2},
        {"padding": [(1, 2), (0, 1)], "strides": 2, "kernel_dilation": (1, 2)},
    ],
)
def test_a_convolution_by_explicit_patches(options):
    conv = nn.Conv(3, (3, 2), **options)
    x = jax.random.normal(jax.random.key(1), (4, 7, 6, 2))
    c = curvature_of(conv, x, lambda z, y: ((z - y) ** 2).sum((1, 2, 3)))
    a, g = jax.jit(lambda c: c.kron_factors(kind="empirical"))(c).layers["kernel"]
    kernel, bias = c.params["kernel"], c.params["bias"]

    def output(kernel):
        return conv.apply({"params": {"kernel": kernel, "bias": bias}}, x)

    # What multiplies each weight of a unit: the output of a kernel that has this weight alone.
    units = jnp.eye(12).reshape(12, 3, 2, 2, 1) * jnp.ones((1, 1, 1, 1, 3))
    seen = jax.jit(jax.vmap(output))(units)[..., 0] - bias[0]
    rows = np.asarray(seen, np.float64).reshape(12, -1).T
    np.testing.assert_allclose(a[:-1, :-1], rows.T @ rows / 4, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(a[-1, :-1], rows.sum(0) / 4, rtol=1e-4, atol=1e-4)
    assert a[-1, -1] == len(rows) / 4  # positions
    slopes = 2 * np.asarray(output(kernel) - 1).reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(g, slopes.T @ slopes / len(rows), rtol=1e-4)


class Mixed(fnn.Module):
    """Layers with factors, and parameters without."""

    @fnn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3))(x)
        x = nn.BatchNorm()(x, train=True)
        x = nn.Conv(4, (3, 3), feature_group_count=2, name="grouped")(x)
        x = nn.Conv(2, (3, 3), padding="CIRCULAR", name="circular")(x)
        x = nn.Dense(2, weight_standardization="standard", name="standardized")(x)
        x = fnn.remat(fnn.Dense)(2, name="inside")(x)
        shared = fnn.Dense(2, name="shared")
        x = fnn.PReLU()(shared(shared(x)))
        return nn.Dense(3, name="last")(x.reshape(len(x), -1))


def test_what_is_no_layer_has_a_diagonal():
    model, x = Mixed(), jax.random.normal(KEY, (4, 4, 4, 1))
    variables = dict(jax.jit(model.init)(KEY, x))
    params = variables.pop("params")

    def model_fn(params, batch):
        variables_ = {"params": params, **variables}
        return model.apply(variables_, batch["x"], mutable=["batch_stats"])[0]

    batch = {"x": x, "y": jnp.arange(4) % 3}
    c = so.Curvature({"params": params}, lambda p, b: model_fn(p["params"], b), cross_entropy,
                     batch, KEY)  # fmt: skip
    found = jax.jit(lambda c: c.kron_factors())(c)
    assert set(found.layers) == {"params/Conv_0/kernel", "params/last/kernel"}
    leaves = {f"params/{m}/{k}": v.shape for m, p in params.items() for k, v in p.items()}
    held = {f"params/{m}/{k}" for m in ("Conv_0", "last") for k in ("kernel", "bias")}
    assert {n: d.shape for n, d in found.diagonal.items()} == {
        n: s for n, s in leaves.items() if n not in held
    }
    assert all(jnp.isfinite(x).all() for x in jax.tree.leaves(found))


def test_diagonals_are_right_in_the_mean_over_signs():
    _, c = problem()
    squares = jax.jit(lambda c: jax.tree.map(lambda g: (g**2).mean(0), c.fisher_grads("mc")))(c)

    @jax.jit
    def mean(keys):
        def one(key):
            # The labels stay: a fixed draw in place of one by this key.
            labels = c.sampled_labels()
            again = dataclasses.replace(c, key=key, sample_label=lambda key, z: labels)
            return again.kron_factors(max_size=1).diagonal

        return jax.tree.map(lambda d: d.mean(0), jax.vmap(one)(keys))

    found = mean(jax.random.split(KEY, 4000))
    for name, d in found.items():
        layer, leaf = name.split("/")
        # Relative deviation of a mean of 4,000 squares: about sqrt(2 / 4,000) = 0.022.
        np.testing.assert_allclose(d, squares[layer][leaf], rtol=0.12, atol=1e-4)
    assert set(found) == {"Dense_0/kernel", "Dense_0/bias", "Dense_1/kernel", "Dense_1/bias"}
