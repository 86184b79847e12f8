"""Runs of a device in blocks, against a loop over them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_lab.engine import device_mesh
from jaxopt_lab.sweeps import over_runs, runs_at_once, spread


def of_one(own, shared):
    key, x = own
    return {"noise": jax.random.normal(key, (3,)) + shared, "twice": 2 * x}


@pytest.mark.parametrize("at_once", [None, 1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("runs", [1, 5, 7])
def test_blocks_of_any_size_give_every_run_its_own(runs, at_once):
    mesh = device_mesh(jax.devices()[:1])
    owns = jax.random.split(jax.random.key(0), runs), jnp.arange(runs)
    found = over_runs(of_one, mesh, at_once)(spread(owns, mesh), jnp.float32(1))
    _equals_a_loop(of_one, owns, found)


def moved(own, shared):
    key, x = own
    return (jax.random.fold_in(key, x), 2 * x), of_one(own, shared), jnp.isfinite(x)


@pytest.mark.parametrize("at_once", [None, 1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("runs", [1, 5, 7])
def test_what_is_written_in_place_has_its_turn_once(runs, at_once):
    mesh = device_mesh(jax.devices()[:1])
    owns = jax.random.split(jax.random.key(0), runs), jnp.arange(runs)
    dealt = spread(jax.tree.map(jnp.copy, owns), mesh)
    found = over_runs(moved, mesh, at_once, donate=True)(dealt, jnp.float32(1))
    _equals_a_loop(moved, owns, found)


def _equals_a_loop(function, owns, found):
    for i in range(len(owns[1])):
        expected = function((owns[0][i], owns[1][i]), jnp.float32(1))
        got = jax.tree.map(lambda x, i=i: x[i], found)
        jax.tree.map(np.testing.assert_array_equal, *map(_plain, (got, expected)))


def _plain(tree):
    is_key = lambda x: jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)  # noqa: E731
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree)


def test_a_cpu_takes_convolutions_one_by_one_and_else_what_its_caches_hold():
    kernel = jnp.zeros((3, 3, 1, 1))
    image = jnp.zeros((2, 8, 8, 1))
    convolve = lambda kernel, x: jax.lax.conv(x.transpose(0, 3, 1, 2), kernel.T, (1, 1), "SAME")  # noqa: E731
    step = jax.make_jaxpr(convolve)(kernel, image)
    dense = jax.make_jaxpr(lambda kernel, x: kernel.sum() * x)(kernel, image)
    assert runs_at_once("auto", step, kernel, image, "cpu") == 1
    large = jnp.zeros((2, 2**22))
    assert runs_at_once("auto", dense, kernel, image, "cpu") > runs_at_once(
        "auto", dense, large, image, "cpu"
    )
    assert runs_at_once("auto", dense, large, image, "cpu") == 2
    assert runs_at_once("vmap", step, kernel, image, "cpu") is None
    assert runs_at_once("map", dense, kernel, image, "cpu") == 1
    assert runs_at_once("auto", step, kernel, image, "tpu") is None
