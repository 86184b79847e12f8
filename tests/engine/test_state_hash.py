"""The hash of a state: any bit and any place changes it, and no device does."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jaxopt_lab.engine.state_hash import in_hex, state_hash

DTYPES = [
    *(np.float16, np.float32, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.complex64),
    *(np.int8, np.uint16, np.int32, np.uint32, np.bool_),
]


def hashed(tree):
    return in_hex(jax.jit(state_hash)(tree))


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_every_bit_and_place_counts(dtype):
    x = np.arange(24).reshape(2, 3, 4).astype(dtype)
    found = {hashed(jnp.asarray(x)), hashed(jnp.asarray(x.reshape(3, 8)[:, ::-1].copy()))}
    count = len(found)
    for place in (0, 7, 23):
        for bit in range(1 if dtype == np.bool_ else 8 * x.dtype.itemsize):
            changed = bytearray(x.tobytes())
            changed[place * x.dtype.itemsize + bit // 8] ^= 1 << bit % 8
            found.add(hashed(jnp.asarray(np.frombuffer(changed, x.dtype).reshape(x.shape))))
            count += 1
    assert len(found) == count and hashed(jnp.asarray(x)) in found


def test_equals_a_loop_over_the_words():
    def mixed(x):
        x = ((x ^ x >> 16) * 0x85EBCA6B) % 2**32
        x = ((x ^ x >> 13) * 0xC2B2AE35) % 2**32
        return x ^ x >> 16

    x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    words = [7, *x.view(np.uint32).ravel().tolist()]
    found = ""
    for seed in (0x85EBCA6B, 0xC2B2AE35):
        place = (mixed(((i + 1) * 0x9E3779B9 + seed) % 2**32) for i in range(36))
        summed = sum(mixed(w ^ p) for w, p in zip(words, place, strict=True))
        found += f"{mixed((summed + 36) % 2**32):08x}"
    assert hashed({"n": jnp.int32(7), "x": jnp.asarray(x)}) == found


def test_empty_leaves_keys_and_nothing():
    key = jax.random.key(3)
    trees = [{}, {"a": jnp.zeros(())}, {"a": jnp.zeros(2)}, {"k": key}, {"k": jax.random.key(4)}]
    assert len({hashed(tree) for tree in trees}) == len(trees)
    assert hashed({"a": jnp.zeros(0), "b": jnp.ones(2)}) == hashed({"b": jnp.ones(2)})
