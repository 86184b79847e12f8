"""What every mixer begins with: float pixels and soft labels, partners, and the share of each."""

import jax
import jax.numpy as jnp

from jaxopt_lab.augment.pixels import unit
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Batch


def soft(mixer: str, batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Images in [0, 1] and labels of a batch, float32.

    Raises:
      InputError: where the labels are classes and not distributions.
    """
    image, label = batch["x"], batch["y"]
    if label.ndim != 2 or not jnp.issubdtype(label.dtype, jnp.floating):
        raise InputError(
            f"{mixer}: labels {label.shape} {label.dtype} cannot be mixed; give distributions "
            "(B, K) float32: jax.nn.one_hot(label, classes)"
        )
    # A table's whole numbers are numbers; an image's would need a white.
    samples = unit(image) if image.ndim == 4 or image.dtype == jnp.uint8 else image
    return samples.astype(jnp.float32), label.astype(jnp.float32)


def shares(key: jax.Array, alpha: float, count: int) -> jax.Array:
    """`count` draws of Beta(alpha, alpha), (count,) float32."""
    if alpha == 1:  # uniform, without the rejection loop of the general case
        return jax.random.uniform(key, (count,), jnp.float32)
    return jax.random.beta(key, alpha, alpha, (count,), jnp.float32)
