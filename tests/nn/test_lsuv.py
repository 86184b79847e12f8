"""LSUV: every layer's output has variance 1, in any kind of Linen model."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.nn import BatchNorm, Conv, Dense, Dropout, gaussian, lsuv

X = jnp.asarray(np.random.default_rng(0).normal(1, 2, (32, 6, 6, 3)), jnp.float32)


class Plain(nn.Module):
    """50 layers, with nothing that keeps the signal."""

    convolutional: bool

    @nn.compact
    def __call__(self, x, *, train=False):
        for _ in range(50):
            if self.convolutional:
                layer = Conv(12, (3, 3), kernel_init=gaussian(0.01))
            else:
                layer = Dense(64, kernel_init=gaussian(0.01))
            x = nn.relu(layer(x))
        return x


class Block(nn.Module):
    """A shared layer, made in setup, used twice and once more after a batch normalization."""

    def setup(self):
        self.first = Dense(16, bias_init=nn.initializers.normal(0.3))
        self.norm = BatchNorm()
        self.drop = Dropout(0.5)

    def __call__(self, x, *, train):
        x = nn.tanh(self.first(x))
        x = self.norm(nn.relu(self.first(x)), train=train)
        return x + self.first(self.drop(x, train=train))


class Nested(nn.Module):
    """A block in a compact module, a rematerialized layer, and a layer of the user's own."""

    @nn.compact
    def __call__(self, x, *, train=False):
        x = x.mean((1, 2))
        x = nn.remat(Dense)(16, name="remat")(x)
        x = Block()(x, train=train)
        return Own()(x, scale=3.0)


class Own(nn.Module):
    """A kernel of three axes, an argument that is not an array, and a layer inside."""

    @nn.compact
    def __call__(self, x, *, scale):
        kernel = self.param("kernel", nn.initializers.normal(), (x.shape[-1], 4, 2))
        return nn.DenseGeneral(3, axis=(-2, -1))(scale * jnp.einsum("bi,ijk->bjk", x, kernel))


def variances(model, variables, x, key):
    """Of each layer's first output, as one dict by path."""
    layers = nn.Dense | nn.Conv | nn.DenseGeneral | Own
    _, state = model.apply(
        variables,
        x,
        train=True,
        rngs={"dropout": jax.random.split(key)[1]},  # as `lsuv` has it
        mutable=["intermediates", "batch_stats"],
        capture_intermediates=lambda m, _: isinstance(m, layers),
    )
    found = jax.tree_util.tree_flatten_with_path(
        state["intermediates"], is_leaf=lambda v: isinstance(v, tuple)
    )[0]
    return {jax.tree_util.keystr(path): float(values[0].var()) for path, values in found}


@pytest.mark.parametrize("convolutional", [False, True])
def test_fifty_plain_layers(convolutional):
    model = Plain(convolutional)
    x, key = X if convolutional else X.reshape(32, -1), jax.random.key(1)
    variables = model.init(jax.random.key(0), x)
    assert model.apply(variables, x).var() < 1e-20  # the Gaussian of 0.01 vanishes
    new = lsuv(model, variables, x, key)
    found = variances(model, new, x, key)
    assert len(found) == 50
    np.testing.assert_allclose(list(found.values()), 1, atol=0.01)
    # Orthonormal, but for the factor.
    kernel = new["params"][f"{['Dense', 'Conv'][convolutional]}_7"]
    matrix = np.asarray(kernel["kernel"], np.float64).reshape(-1, kernel["kernel"].shape[-1])
    square = matrix.T @ matrix
    np.testing.assert_allclose(square / square[0, 0], np.eye(len(square)), atol=1e-5)


def test_shared_nested_normalized_and_own_layers():
    model, key = Nested(), jax.random.key(3)
    variables = model.init(jax.random.key(0), X, train=True)
    before = jax.tree.map(np.asarray, variables)
    new = lsuv(model, variables, X, key, tolerance=1e-3)
    found = variances(model, new, X, key)
    assert len(found) == 4  # the shared, one rematerialized, the own one and the one inside
    np.testing.assert_allclose(list(found.values()), 1, atol=1e-3)
    # The same structure, and nothing but kernels changed.
    assert jax.tree.structure(new) == jax.tree.structure(before)
    for (path, old), leaf in zip(
        jax.tree_util.tree_flatten_with_path(before)[0], jax.tree.leaves(new), strict=True
    ):
        assert ("kernel" in str(path)) == (old != leaf).any()


def test_scanned_layers():
    class Scanned(nn.Module):
        @nn.compact
        def __call__(self, x, *, train=False):
            return nn.scan(
                lambda layer, x, _: (nn.relu(layer(x)), None),
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=3,
            )(Dense(8), x, None)[0]

    x = X.mean(1).reshape(32, -1)[:, :8]
    model = Scanned()
    kernels = lsuv(model, model.init(jax.random.key(0), x), x, jax.random.key(1))
    for kernel in kernels["params"]["Dense_0"]["kernel"]:
        np.testing.assert_allclose((x @ kernel).var(), 1, atol=0.01)
        x = nn.relu(x @ kernel)


def test_pure_given_the_key():
    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, *, train=False):
            return Dense(4)(x)

    x, keys = X.reshape(32, -1)[:, :6], jax.random.split(jax.random.key(0), 2)
    variables = Model().init(keys[0], x)

    def run(key):
        return lsuv(Model(), variables, x, key)["params"]["Dense_0"]["kernel"]

    together, alone = jax.jit(jax.vmap(run))(keys), run(keys[1])
    np.testing.assert_array_equal(alone, run(keys[1]))
    np.testing.assert_allclose(together[1], alone, atol=1e-5)
    assert (together[0] != alone).any()


def test_what_cannot_reach_it_stays_orthonormal():
    class Model(nn.Module):
        bias: float

        @nn.compact
        def __call__(self, x, *, train=False):
            x = Dense(4, weight_standardization="standard")(x)
            return Dense(4)(nn.relu(x - self.bias))

    x, key = X.reshape(32, -1), jax.random.key(0)
    # The second layer's input is all zero.
    new = lsuv(Model(1e4), Model(1e4).init(key, x), x, key)
    for layer in new["params"].values():
        gram = layer["kernel"].T @ layer["kernel"]
        np.testing.assert_allclose(gram, np.eye(4), atol=1e-5)


def test_iterations_end_where_a_bias_is_in_the_way():
    class Model(nn.Module):
        @nn.compact
        def __call__(self, x, *, train=False):
            return Dense(8, bias_init=nn.initializers.normal(0.9))(x)

    x, key = X.reshape(32, -1), jax.random.key(0)
    variables = Model().init(key, x)
    new = [lsuv(Model(), variables, x, key, tolerance=1e-4, max_iterations=n) for n in (1, 100)]
    found = [float(Model().apply(v, x).var()) for v in new]
    assert abs(found[0] - 1) > 1e-4 > abs(found[1] - 1)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"tolerance must be > 0.*max_iterations must be >= 1"):
        lsuv(Dense(3), {}, X, jax.random.key(0), tolerance=0, max_iterations=0)
    params = Dense(3).init(jax.random.key(0), X)["params"]
    with pytest.raises(
        ValueError, match=r"collection \"params\".*got 'kernel'.*{'params': params}"
    ):
        lsuv(Dense(3), params, X, jax.random.key(0))
