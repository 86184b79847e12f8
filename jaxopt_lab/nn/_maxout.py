"""Maxout."""

import flax.linen as nn
import jax

from jaxopt_lab.core.ranges import Count
from jaxopt_lab.nn._dense import Dense
from jaxopt_lab.nn.checked_module import CheckedModule
from jaxopt_lab.nn.initializers import Initializer, glorot_uniform


class Maxout(CheckedModule):
    """The largest of several affine maps, a learned convex activation and its dense layer in one.

    In place of a dense layer and its activation; made for dropout.

        y_j = max_k (x w_jk + b_jk)

    Args:
      features: number of outputs.
      pieces: number of affine maps of each, k.
      kernel_init, bias_init: `init(key, shape, dtype)` of "kernel" (I, features * pieces), where
        the pieces of one output lie side by side, and of "bias".

    Call:
      x: (..., I), floating.

    Returns:
      (..., features). Equal pieces share the gradient equally.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Goodfellow et al., 2013, https://arxiv.org/abs/1302.4389
    """

    features: Count
    pieces: Count = 2
    kernel_init: Initializer = glorot_uniform()
    bias_init: Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        inits = {"kernel_init": self.kernel_init, "bias_init": self.bias_init}
        y = Dense(self.features * self.pieces, name="affine", **inits)(x)
        return y.reshape(*y.shape[:-1], self.features, self.pieces).max(-1)
