"""A hash of a state that is computed where the state is, so that two runs can be compared."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_GOLDEN = np.uint32(0x9E3779B9)
_SEEDS = np.array([0x85EBCA6B, 0xC2B2AE35], np.uint32)


def state_hash(tree: Any) -> jax.Array:
    """A hash of the bits of a pytree of arrays; pure, for `jit`.

    Each word is mixed with its place, and the words are summed modulo 2^32. It finds what differs
    by accident, and is no defence against intent.

    Args:
      tree: arrays of any dtype, PRNG keys included.

    Returns:
      Two words, (2,) uint32. The finalizer of MurmurHash3 does the mixing.
    """
    # Side by side, as one loop: a loop a leaf takes seconds to compile.
    words = [part.ravel() for leaf in jax.tree.leaves(tree) for part in _words(leaf)]
    all_words = jnp.concatenate([jnp.zeros(0, jnp.uint32), *words])
    place = (jax.lax.iota(jnp.uint32, all_words.size) + np.uint32(1)) * _GOLDEN
    sums = [_mixed(all_words ^ _mixed(place + s)).sum(dtype=jnp.uint32) for s in _SEEDS]
    return _mixed(jnp.stack(sums) + np.uint32(all_words.size % 2**32))


def in_hex(found: Any) -> str:
    """What `state_hash` gives, as 16 digits."""
    high, low = np.asarray(found).tolist()
    return f"{high:08x}{low:08x}"


def _words(leaf: Any) -> list[jax.Array]:
    """The bits of a leaf, as arrays of 32-bit words."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        return [*_words(leaf.real), *_words(leaf.imag)]
    if leaf.dtype == jnp.bool_:
        return [leaf.astype(jnp.uint32)]
    narrow = {1: jnp.uint8, 2: jnp.uint16}.get(leaf.dtype.itemsize, jnp.uint32)
    return [jax.lax.bitcast_convert_type(leaf, narrow).astype(jnp.uint32)]


def _mixed(x: jax.Array) -> jax.Array:
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
