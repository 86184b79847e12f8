"""From one value to another, as a share of the way."""

import jax
import jax.numpy as jnp


def linear(start: jax.typing.ArrayLike, end: jax.typing.ArrayLike, share: jax.Array) -> jax.Array:
    """On a straight line; `start` where the share is 0, `end` where it is 1, both exactly."""
    return (1 - share) * start + share * end


def cosine(start: jax.typing.ArrayLike, end: jax.typing.ArrayLike, share: jax.Array) -> jax.Array:
    """On half a cosine: slow, fast, slow."""
    return linear(start, end, 0.5 * (1 - jnp.cos(jnp.pi * share)))


def share_of(step: jax.Array, begin: jax.typing.ArrayLike, end: jax.typing.ArrayLike) -> jax.Array:
    """How far `step` is between two others, in [0, 1]; 1 from `end` on, also where they meet."""
    length = jnp.asarray(jnp.asarray(end) - begin, float)
    done = jnp.asarray(step - begin, float)
    return jnp.where(done < length, jnp.clip(done, 0) / jnp.where(length > 0, length, 1), 1.0)
