"""Norms and roots over the whole range of float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.norm import norm, norms, root

SIZES = [0.0, 1e-36, 1e-30, 1e-23, 1e-19, 1e-10, 1.0, 1e15, 3e19, 3e20, 3e38]


def value(found):
    return np.float64(found.size) / np.float64(found.inverse)


@pytest.mark.parametrize("size", SIZES)
def test_norm_is_that_of_double_precision(size):
    tree = {"a": size * jnp.linspace(-1, 1, 6).reshape(2, 3), "b": jnp.array(size / 3)}
    wide = [np.asarray(x, np.float64) for x in jax.tree.leaves(tree)]
    expected = np.sqrt(sum((x**2).sum() for x in wide))
    # A rounding of each square and of the sum.
    np.testing.assert_allclose(value(norm(tree)), expected, rtol=1e-6)
    for found, x in zip(norms(tree), wide, strict=True):
        np.testing.assert_allclose(value(found), np.linalg.norm(x.ravel()), rtol=1e-6)


@pytest.mark.parametrize("size", [1e-30, 3e20])
def test_a_constant_leaf_changes_nothing(size):
    found = jax.jit(lambda x: norm({"a": x, "unused": jnp.zeros(3)}))(jnp.full(2, size))
    np.testing.assert_allclose(value(found), np.sqrt(2) * size, rtol=1e-6)


def test_ordinary_norms_are_the_plain_ones_to_the_bit():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 7)), jnp.float32)
    found = norm(x)
    assert found.inverse == 1
    assert found.size == jnp.sqrt(jnp.sum(x * x))
    assert root(jnp.float32(3.0)) == jnp.sqrt(jnp.float32(3.0))


def test_what_is_not_finite_stays_so():
    assert np.isnan(norm(jnp.array([1.0, np.nan])).size)
    assert np.isinf(norm(jnp.array([1.0, np.inf])).size)
    assert norm({}).size == 0


def test_lanes_are_scaled_by_themselves():
    x = jnp.array([[3.0, 4.0], [3e20, 4e20], [3e-30, 4e-30]])
    found = jax.vmap(norm)(x)
    np.testing.assert_allclose(value(found), [5, 5e20, 5e-30], rtol=1e-6)


@pytest.mark.parametrize("size", [0.0, 1.0, 1e20])
def test_the_derivative_is_the_direction(size):
    x = size * jnp.array([0.6, 0.8])
    slope = jax.grad(lambda x: norm(x).size / norm(x).inverse)(x)
    np.testing.assert_allclose(slope, [0.6, 0.8] if size else [0, 0], rtol=1e-6)
