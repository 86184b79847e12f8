"""Penalties against float64 NumPy, their masks and their gradients."""

import functools

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.losses import PENALTIES, elastic_net, l1, l2

RNG = np.random.default_rng(0)
PARAMS = {
    "dense": {"kernel": RNG.normal(size=(5, 3)).astype(np.float32), "bias": np.ones(3, "f4")},
    "scale": np.full(4, 2, np.float32),
    "empty": {},
}
KERNEL = PARAMS["dense"]["kernel"].astype(np.float64)
EXPECTED = {
    "l1": lambda w: 0.1 * np.abs(w).sum(),
    "l2": lambda w: 0.05 * (w**2).sum(),
    "elastic_net": lambda w: 0.03 * np.abs(w).sum() + 0.035 * (w**2).sum(),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_values_masks_and_dtypes(name):
    penalty = functools.partial(PENALTIES[name], **cases.PENALTIES[name])
    of = EXPECTED[name]
    everywhere = of(KERNEL) + of(np.ones(3)) + of(np.full(4, 2.0))
    masks = [
        (None, of(KERNEL)),
        (True, everywhere),
        ({"dense": True, "scale": False, "empty": {}}, of(KERNEL) + of(np.ones(3))),
        (lambda params: jax.tree.map(lambda p: p.ndim == 1, params), everywhere - of(KERNEL)),
        (False, 0.0),
    ]
    for mask, expected in masks:
        # A sum of 22 float32 numbers.
        found = penalty(PARAMS, mask=mask)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert found.dtype == jnp.float32 and found.shape == ()
    narrow = {"kernel": jnp.full((40, 40), 0.5, jnp.bfloat16)}
    found = penalty(narrow)  # bfloat16 would round a sum of 1,600 terms
    np.testing.assert_allclose(found, of(np.full((40, 40), 0.5)), rtol=1e-6)
    assert penalty({}) == 0
    assert jax.tree.map(jnp.shape, jax.grad(penalty)(PARAMS)) == jax.tree.map(jnp.shape, PARAMS)


def test_gradients():
    params = {"kernel": jnp.array([[0.0, -2.0, 3.0]])}
    found = jax.grad(functools.partial(l1, weight=0.1))(params)["kernel"]
    np.testing.assert_allclose(found, [[0, -0.1, 0.1]], rtol=1e-6)
    found = jax.grad(functools.partial(l2, weight=0.1))(params)["kernel"]
    np.testing.assert_allclose(found, [[0, -0.2, 0.3]], rtol=1e-6)


def test_vmap_over_weight_and_ratio():
    found = jax.vmap(lambda w, r: elastic_net(PARAMS, weight=w, ratio=r))(
        jnp.array([0.1, 2.0]), jnp.array([1.0, 0.0])
    )
    np.testing.assert_allclose(found, [l1(PARAMS, weight=0.1), l2(PARAMS, weight=2)], rtol=1e-6)


@pytest.mark.parametrize("name", PENALTIES)
def test_out_of_range(name):
    with pytest.raises(ArgumentError, match="weight must be >= 0, got -1"):
        PENALTIES[name](PARAMS, weight=-1)
    with pytest.raises(ArgumentError, match=r"ratio must be in \[0, 1\], got 2"):
        elastic_net(PARAMS, weight=1, ratio=2)
