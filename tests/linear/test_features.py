"""Feature maps against scikit-learn and the kernel that they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import PolynomialFeatures

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.linear import FEATURES, fourier, polynomial

X = np.random.default_rng(0).uniform(-1, 1, size=(6, 3)).astype(np.float32)


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_polynomial(degree):
    expected = PolynomialFeatures(degree, include_bias=False).fit_transform(X)
    # Products of at most four float32 factors.
    np.testing.assert_allclose(polynomial(X, degree=degree), expected, rtol=1e-6)


def test_fourier_approaches_the_gaussian_kernel():
    phi = fourier(jax.random.key(0), X, features=20_000, length_scale=0.7)
    assert phi.shape == (6, 20_000)
    expected = rbf_kernel(X, gamma=1 / (2 * 0.7**2))
    # The mean of D products of variance 1/2 at most: five standard deviations.
    np.testing.assert_allclose(phi @ phi.T, expected, rtol=0, atol=5 * np.sqrt(0.5 / 20_000))


def test_fourier_is_the_key_s_own_map():
    key = jax.random.key(1)
    whole = fourier(key, X, features=5)
    # One row alone is another matrix product.
    np.testing.assert_allclose(fourier(key, X[2:3], features=5), whole[2:3], rtol=0, atol=1e-6)
    other = fourier(jax.random.key(2), X, features=5)
    assert not np.allclose(other, whole)
    traced = jax.vmap(lambda length: fourier(key, X, features=5, length_scale=length))
    np.testing.assert_allclose(traced(jnp.array([1.0, 2.0]))[0], whole, rtol=0, atol=1e-6)


def test_dtypes():
    narrow = jnp.asarray(X, jnp.bfloat16)
    assert fourier(jax.random.key(0), narrow).dtype == jnp.float32
    assert polynomial(narrow, degree=2).dtype == jnp.bfloat16


@pytest.mark.parametrize("name", FEATURES)
def test_what_does_not_do(name):
    first = (jax.random.key(0),) if name == "fourier" else ()
    arguments = {"features": 5} if name == "fourier" else {"degree": 2}
    with pytest.raises(InputError, match=rf"{name}: X has shape \(6,\)"):
        FEATURES[name](*first, X[:, 0], **arguments)
    with pytest.raises(InputError, match=r"must be (>= 1|in \[1, 2000\]), got 0"):
        FEATURES[name](*first, X, **dict.fromkeys(arguments, 0))
