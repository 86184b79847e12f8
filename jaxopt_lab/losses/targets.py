"""Labels in any of their forms, as numbers beside the outputs."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import accumulator_dtype


def targets(
    outputs: jax.Array, labels: jax.Array, loss: str, *, signs: bool = False
) -> tuple[jax.Array, jax.Array]:
    """Outputs and labels as two arrays (B, K), float32 or wider; a single output has K = 1.

    Args:
      outputs: (B, K), or (B,) for one output.
      labels: (B, K), or (B,) for one output, or (B,) integer classes in [0, K), taken one-hot.
      loss: named in the error.
      signs: labels of -1 mean 0.

    Raises:
      InputError: where the shapes do not fit.
    """
    given = f"{loss}: labels {jnp.shape(labels)} {labels.dtype} do not fit outputs {outputs.shape}"
    if outputs.ndim == 1:
        outputs = outputs[:, None]
    if outputs.ndim == 2 and labels.ndim == 1:
        if outputs.shape[1] == 1:
            labels = labels[:, None]
        elif not jnp.issubdtype(labels.dtype, jnp.floating):
            labels = jax.nn.one_hot(labels, outputs.shape[1])
    if outputs.ndim != 2 or labels.shape != outputs.shape:
        raise InputError(f"{given}: give the outputs' shape, or one integer class a sample")
    outputs = outputs.astype(accumulator_dtype(outputs.dtype))
    labels = labels.astype(outputs.dtype)
    return outputs, jnp.maximum(labels, 0) if signs else labels


def weighted(weight: jax.Array, loss: Callable[[jax.Array], jax.Array], z: jax.Array) -> jax.Array:
    """weight loss(z), and 0 where the weight is, whatever z is: 0 times infinity would be NaN."""
    none = weight == 0
    return jnp.where(none, 0, weight * loss(jnp.where(none, 0, z)))
