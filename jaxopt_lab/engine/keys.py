"""Every random number of a run is a function of its key, a purpose and a step."""

import enum

import jax


class Stream(enum.IntEnum):
    """What a random number is for. The numbers are part of the format: never renumber."""

    INIT = 0
    ORDER = 1
    AUGMENT = 2
    MODEL = 3
    OPTIMIZER = 4
    ADVERSARY = 5
    CORRUPTION = 6
    BOOTSTRAP = 7
    PROBE = 8


def stream_key(key: jax.Array, stream: Stream, step: jax.typing.ArrayLike = 0) -> jax.Array:
    """The key of one purpose at one step (or epoch): independent of all others."""
    return jax.random.fold_in(jax.random.fold_in(key, stream), step)
