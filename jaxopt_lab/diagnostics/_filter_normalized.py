"""Random directions that are as long, filter by filter, as the parameters."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.tree import cast_like, is_trained, widen
from jaxopt_lab.core.types import Params


def filter_normalized(key: jax.Array, params: Params) -> Params:
    """A random direction whose filters are as long as those of the parameters.

        d_f <- |theta_f| d_f / |d_f|,    d normal, f an output unit: an index of the last axis

    For `loss_surface`, where it makes networks comparable: scaling one layer up and the next down
    changes neither the network nor, in these directions, its surface. Leaves of rank 0 and 1,
    biases and what belongs to normalizations, do not move. A filter of zeros does not move either.

    Args:
      key: of the direction.
      params: a pytree of arrays; kernels as in Flax, their last axis the output units: (in, out),
        (H, W, in, out).

    Returns:
      A pytree as `params`, in their dtypes; zeros where a leaf is not floating.

    Reference: Li et al., 2018, https://arxiv.org/abs/1712.09913, section 4
    """
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, max(len(leaves), 1))
    directions = [_direction(k, p) for k, p in zip(keys, leaves, strict=False)]
    return cast_like(jax.tree.unflatten(structure, directions), params)


def _direction(key, leaf):
    if jnp.ndim(leaf) < 2 or not is_trained(leaf):
        return jnp.zeros_like(leaf)
    wide = widen(leaf)
    d = jax.random.normal(key, wide.shape, wide.dtype)
    return d * (_lengths(wide) / jnp.where(_lengths(d) > 0, _lengths(d), 1))


def _lengths(filters):
    """Of each output unit, (1, ..., 1, O)."""
    return jnp.sqrt((filters * filters).sum(tuple(range(filters.ndim - 1)), keepdims=True))
