"""Gaussian noise on what passes through."""

import flax.linen as nn
import jax

from jaxopt_lab.core.ranges import NonNegative
from jaxopt_lab.core.tree import accumulator_dtype
from jaxopt_lab.nn.checked_module import CheckedModule


class GaussianNoise(CheckedModule):
    """Additive noise, in training only.

    Against overfitting, on inputs or hidden layers.

        y = x + sigma n,  n ~ N(0, 1)

    Args:
      stddev: sigma >= 0, in the unit of x.

    Call:
      x: any shape, floating.
      train: whether to add noise; takes a key of the stream "dropout".

    Returns:
      The shape and dtype of x.

    Raises:
      ArgumentError: for a stddev out of its range.

    Reference: Bishop, 1995, https://doi.org/10.1162/neco.1995.7.1.108
    """

    stddev: NonNegative

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        if not train or self.stddev == 0:
            return x
        # Drawn in float32 at least: bfloat16's own draws have few values.
        noise = jax.random.normal(self.make_rng("dropout"), x.shape, accumulator_dtype(x.dtype))
        return (x + self.stddev * noise).astype(x.dtype)
