"""The square root of the loss Hessian at the outputs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.tree import widen
from jaxopt_lab.linalg.one_by_one import eigh


def root_columns(
    output_loss: Callable[[jax.Array, Any], jax.Array], outputs: jax.Array, labels: Any
) -> jax.Array:
    """The columns of H^(1/2) of every sample, H (K, K) the loss Hessian at its outputs.

    Args:
      output_loss: `(outputs, labels) -> (B,)`.
      outputs: (B, ...), of K numbers a sample.
      labels: with leading axis B, or a pytree of such.

    Returns:
      (K, B, ...): column k of every sample, in the shape and dtype of the outputs.
    """
    shape = outputs.shape

    def root(z, label):
        def loss(flat):
            one = flat.reshape(1, *shape[1:]).astype(outputs.dtype)
            return output_loss(one, jax.tree.map(lambda y: y[None], label))[0]

        values, vectors = eigh(jax.hessian(loss)(widen(z).reshape(-1)))
        return vectors * jnp.sqrt(jnp.maximum(values, 0))[None]

    columns = jnp.moveaxis(jax.vmap(root)(outputs, labels), -1, 0)
    return columns.reshape(-1, *shape).astype(outputs.dtype)
