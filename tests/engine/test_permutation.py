"""The order of an epoch against JAX's own."""

import jax
import numpy as np
import pytest

from jaxopt_lab.engine.permutation import permutation


# 1,626 is the first count of two rounds, 65,537 the first that is left to JAX.
@pytest.mark.parametrize("count", [1, 2, 3, 1221, 1625, 1626, 65536, 65537])
def test_is_the_permutation_of_jax(count):
    for seed in range(3):
        key = jax.random.key(seed)
        np.testing.assert_array_equal(permutation(key, count), jax.random.permutation(key, count))


def _vectorized():
    keys = jax.random.split(jax.random.key(0), 5)
    found = jax.jit(jax.vmap(lambda key: permutation(key, 100)))(keys)
    expected = [jax.random.permutation(key, 100) for key in keys]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_vectorized_over_keys():
    _vectorized()


def test_in_a_process_of_64_bits(x64):
    _vectorized()
