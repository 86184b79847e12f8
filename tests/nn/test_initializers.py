"""Initializers: the variance that each promises, orthogonality, keys and dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import INITIALIZERS as CASES

from jaxopt_lab.nn import INITIALIZERS, Conv, Dense, delta_orthogonal, initializer, orthogonal

# LLVM's passes do not run, which halves the time of a compilation.

KERNEL = (3, 3, 32, 64)  # fan-in 288, fan-out 576
STDDEV = {
    "gaussian": 0.01,
    "glorot_uniform": np.sqrt(2 / (288 + 576)),
    "glorot_normal": np.sqrt(2 / (288 + 576)),
    "he_uniform": np.sqrt(2 / 288),
    "he_normal": np.sqrt(2 / 288),
}
WIDEST = {"uniform": np.sqrt(3), "normal": 2 / 0.87962566}  # in standard deviations


@pytest.mark.parametrize("name", STDDEV)
def test_mean_variance_and_bounds(name):
    w = np.asarray(initializer(name)(jax.random.key(0), KERNEL, jnp.float32), np.float64)
    stddev, n = STDDEV[name], w.size
    # Five standard errors: of the mean s / sqrt(n); of the deviation s / sqrt(2 n) if normal,
    # less for the others.
    assert abs(w.mean()) < 5 * stddev / np.sqrt(n)
    assert abs(w.std() / stddev - 1) < 5 / np.sqrt(2 * n)
    if "_" in name:
        limit = WIDEST[name.partition("_")[2]] * stddev
        assert 0.99 * limit < abs(w).max() <= limit * (1 + 1e-6)


def test_orthogonal_columns_or_rows():
    for shape in ((2, 3, 4, 5), (4, 9)):
        w = orthogonal(1.5)(jax.random.key(1), shape)
        assert w.dtype == jnp.float32
        w = np.asarray(w).reshape(-1, shape[-1])
        small = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
        np.testing.assert_allclose(small, 2.25 * np.eye(len(small)), atol=1e-5)  # float32


@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (2, 5, 6, 4), (4, 6)])
def test_delta_orthogonal_keeps_every_pixels_length(shape):
    kernel = delta_orthogonal()(jax.random.key(0), shape, jnp.float32)
    center = kernel[tuple((k - 1) // 2 for k in shape[:-2])]
    assert jnp.count_nonzero(kernel) == jnp.count_nonzero(center) == center.size
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, *(6,) * (len(shape) - 2), shape[-2])))
    layer = Conv(shape[-1], shape[:-2]) if len(shape) > 2 else Dense(shape[-1])
    y = layer.apply({"params": {"kernel": kernel, "bias": jnp.zeros(shape[-1])}}, x)
    # "SAME" padding keeps a pixel in its place: y = x w, of the length of x where I <= O
    np.testing.assert_allclose(y, jnp.einsum("...i,io->...o", x, center), atol=1e-5)
    if shape[-2] <= shape[-1]:
        np.testing.assert_allclose((y**2).sum(-1), (x**2).sum(-1), rtol=1e-4)


def test_keys_dtypes_and_seeds():
    keys = jax.random.split(jax.random.key(0), 2)

    def draw(key):
        inits = {name: make(**CASES[name]) for name, make in INITIALIZERS.items()}
        return {name: init(key, (2, 2, 3, 3), jnp.bfloat16) for name, init in inits.items()}

    together, alone = jax.jit(jax.vmap(draw))(keys), jax.jit(draw)(keys[1])
    for name, several in together.items():
        assert several.dtype == jnp.bfloat16
        # Several matrices decomposed at once may round otherwise, at most in the last bit.
        pair = np.float32([several[1], alone[name]])
        np.testing.assert_allclose(*pair, rtol=2**-7, atol=1e-6)
        assert (several[0] != several[1]).any()


def test_by_name():
    assert Dense(3, kernel_init=initializer("he_normal")) == Dense(
        3, kernel_init=initializer("he_normal")
    )
    own = jax.nn.initializers.ones
    assert initializer(own) is own


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: initializer("he_norm"), "did you mean 'he_normal'"),
        (lambda: INITIALIZERS["gaussian"](0.0), "stddev must be > 0, got 0.0"),
        (lambda: orthogonal(-1), "scale must be > 0"),
    ],
)
def test_wrong_arguments_are_named(wrong, text):
    with pytest.raises(ValueError, match=text):
        wrong()
