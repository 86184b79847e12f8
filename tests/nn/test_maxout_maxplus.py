"""Maxout and the max-plus layers against loops in numpy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.nn import Maxout, MaxPlus, MaxPlusConv

# LLVM's passes do not run, which halves the time of a compilation.


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def value_and_gradients(layer, params, x):
    @jax.jit
    def run(params, x):
        def loss(params, x):
            y = layer.apply({"params": params}, x)
            return jnp.sin(y).sum(), y

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(params, x)

    (dparams, dx), y = run(params, x)
    return y, dparams, dx


def max_plus_loop(x, w):
    """y, and the gradients of sum(sin(y)) to the first of the largest terms."""
    y, dx, dw = np.zeros((len(x), w.shape[1])), np.zeros(x.shape), np.zeros(w.shape)
    for b, j in itertools.product(range(len(x)), range(w.shape[1])):
        terms = x[b] + w[:, j]
        i = int(terms.argmax())
        y[b, j] = terms[i]
        dx[b, i] += np.cos(y[b, j])
        dw[i, j] += np.cos(y[b, j])
    return y, dx, dw


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (2, 3, 4), (0, 4)], ids=str)
def test_max_plus(shape):
    x, w = draw(*shape), draw(shape[-1], 3, seed=1)
    layer = MaxPlus(3)
    variables = layer.init(jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, variables["params"]) == {"weight": w.shape}
    y, dparams, dx = value_and_gradients(layer, {"weight": w}, x)
    expected, dx_loop, dw_loop = max_plus_loop(x.reshape(-1, shape[-1]), w)
    np.testing.assert_array_equal(y, expected.reshape(*shape[:-1], 3))  # the very same float32 sum
    np.testing.assert_allclose(dx, dx_loop.reshape(shape), atol=1e-6)  # sums of a few cosines
    np.testing.assert_allclose(dparams["weight"], dw_loop, atol=1e-6)


def test_max_plus_gives_the_gradient_to_the_first_of_equal_terms():
    _, dparams, dx = value_and_gradients(MaxPlus(2), {"weight": np.zeros((3, 2))}, np.ones((1, 3)))
    np.testing.assert_array_equal(dx != 0, [[True, False, False]])
    np.testing.assert_array_equal(dparams["weight"] != 0, [[True] * 2, [False] * 2, [False] * 2])


def test_max_plus_hides_no_nan_and_bears_infinities():
    x = np.float32([[0, np.nan, 1], [-np.inf, -np.inf, -np.inf], [0, np.inf, 1]])
    y, _, dx = value_and_gradients(MaxPlus(1), {"weight": np.zeros((3, 1), np.float32)}, x)
    np.testing.assert_array_equal(y[:, 0], [np.nan, -np.inf, np.inf])
    np.testing.assert_array_equal(dx[:, 2], 0)


def test_max_plus_in_bfloat16_compares_in_float32():
    x, w = jnp.asarray(draw(4, 50), jnp.bfloat16), draw(50, 6, seed=1)
    y, dparams, dx = value_and_gradients(MaxPlus(6), {"weight": w}, x)
    expected, _, _ = max_plus_loop(np.float32(x), w)
    assert y.dtype == dx.dtype == jnp.bfloat16 and dparams["weight"].dtype == jnp.float32
    np.testing.assert_array_equal(y, jnp.asarray(expected, jnp.bfloat16))


def test_max_plus_needs_no_memory_for_all_terms():
    layer, x, w = MaxPlus(256), jnp.zeros((64, 512)), jnp.zeros((512, 256))
    gradient = jax.grad(lambda w, x: layer.apply({"params": {"weight": w}}, x).sum(), (0, 1))
    compiled = jax.jit(gradient).lower(w, x).compile()
    # All terms would be 34 MB; x, w and y are 0.7 MB together.
    assert compiled.memory_analysis().temp_size_in_bytes < 3e6


@pytest.mark.parametrize(
    ("shape", "window"),
    [((2, 4, 5, 2), (3, 3)), ((1, 1, 1, 1), (3, 3)), ((2, 4, 3), (2,)), ((0, 3, 3, 1), (1, 2))],
    ids=str,
)
def test_max_plus_conv(shape, window):
    x, w = draw(*shape), draw(*window, shape[-1], 3, seed=1)
    y, dparams, dx = value_and_gradients(MaxPlusConv(3, window), {"weight": w}, x)
    expected, dx_loop, dw_loop = np.zeros((*shape[:-1], 3)), np.zeros(x.shape), np.zeros(w.shape)
    for (b, *t), o in itertools.product(np.ndindex(*shape[:-1]), range(3)):
        terms = {}
        for k in np.ndindex(*window):
            place = [i + j - (n - 1) // 2 for i, j, n in zip(t, k, window, strict=True)]
            if all(0 <= p < n for p, n in zip(place, shape[1:-1], strict=True)):
                for c in range(shape[-1]):
                    terms[(b, *place, c), (*k, c, o)] = x[(b, *place, c)] + w[(*k, c, o)]
        of_x, of_w = max(terms, key=terms.__getitem__)
        expected[(b, *t, o)] = terms[of_x, of_w]
        dx_loop[of_x] += np.cos(terms[of_x, of_w])
        dw_loop[of_w] += np.cos(terms[of_x, of_w])
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_allclose(dx, dx_loop, atol=1e-6)
    np.testing.assert_allclose(dparams["weight"], dw_loop, atol=1e-6)


def test_max_plus_conv_without_weights_is_max_pooling():
    x = draw(2, 6, 5, 1)
    y = MaxPlusConv(1, (3, 3)).apply({"params": {"weight": jnp.zeros((3, 3, 1, 1))}}, x)
    pooled = jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    np.testing.assert_array_equal(y, pooled)


@pytest.mark.parametrize("shape", [(5, 4), (1, 1), (0, 4), (2, 3, 4)], ids=str)
def test_maxout(shape):
    x, w, b = draw(*shape), draw(shape[-1], 6, seed=1), draw(6, seed=2)
    y, dparams, dx = value_and_gradients(Maxout(2, 3), {"affine": {"kernel": w, "bias": b}}, x)
    flat = x.reshape(-1, shape[-1]).astype(np.float64)
    maps = flat @ w + b
    chosen = [[3 * j + int(row[3 * j : 3 * j + 3].argmax()) for j in (0, 1)] for row in maps]
    expected = np.zeros((len(flat), 2))
    db, dw, dx_loop = np.zeros(6), np.zeros(w.shape), np.zeros(flat.shape)
    for n, columns in enumerate(chosen):
        expected[n] = maps[n, columns]
        for column in columns:
            slope = np.cos(maps[n, column])
            db[column] += slope
            dw[:, column] += slope * flat[n]
            dx_loop[n] += slope * w[:, column]
    # float32 against float64, sums of at most ten terms
    np.testing.assert_allclose(y, expected.reshape(*shape[:-1], 2), atol=1e-5)
    np.testing.assert_allclose(dx, dx_loop.reshape(shape), atol=1e-5)
    np.testing.assert_allclose(dparams["affine"]["kernel"], dw, atol=1e-5)
    np.testing.assert_allclose(dparams["affine"]["bias"], db, atol=1e-5)


@pytest.mark.parametrize(
    "layer", [Maxout(3), MaxPlus(3), MaxPlusConv(3, (2,))], ids=lambda m: type(m).__name__
)
def test_seeds_are_vmapped_and_jit_is_eager(layer):
    x, keys = draw(2, 4, 3), jax.random.split(jax.random.key(0), 3)

    def run(key):
        return layer.init_with_output(key, x)

    together, alone = jax.jit(jax.vmap(run))(keys), run(keys[1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-5), together, alone)
    assert (together[0][0] != together[0][1]).any()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: Maxout(3, 0), "Maxout: pieces must be >= 1, got 0"),
        (lambda: MaxPlus(0), "MaxPlus: features must be >= 1"),
        (lambda: MaxPlusConv(1, (3, 0)), "kernel_size holds a value that must be >= 1"),
    ],
)
def test_wrong_arguments_are_named(wrong, text):
    with pytest.raises(ValueError, match=text):
        wrong()
