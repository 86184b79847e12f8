"""Dropout, inverted or classic."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxopt_lab.core.ranges import Decay
from jaxopt_lab.nn.checked_module import CheckedModule


class Dropout(CheckedModule):
    """Dropout: each value is zero with probability `rate` in training.

    Against overfitting, mostly between dense layers.

        training    y = m x / (1 - rate)     classic  y = m x           m ~ Bernoulli(1 - rate)
        evaluation  y = x                    classic  y = (1 - rate) x

    In expectation the two modes are equal, in either form.

    Args:
      rate: probability of a zero, in [0, 1).
      classic: whether evaluation is scaled, as in the first paper, rather than training.

    Call:
      x: any shape, floating.
      train: whether to drop; takes a key of the stream "dropout".

    Returns:
      The shape and dtype of x.

    Raises:
      ArgumentError: for a rate out of its range.

    Reference: Srivastava et al., 2014, https://jmlr.org/papers/v15/srivastava14a.html (classic).

    Differs from: Flax, Keras and PyTorch have the inverted form only.
    """

    rate: Decay
    classic: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        keep = 1 - self.rate
        if not train:
            return x * keep if self.classic else x
        if self.rate == 0:
            return x
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape)
        return jnp.where(kept, x if self.classic else x / keep, 0)
