"""Max-plus layers: a matrix product with max for the sum and + for the product."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxopt_lab.core.ranges import Count
from jaxopt_lab.core.tree import accumulator_dtype
from jaxopt_lab.nn.checked_module import CheckedModule
from jaxopt_lab.nn.initializers import Initializer


def _largest(x: jax.Array, w: jax.Array) -> jax.Array:
    """argmax_i (x_bi + w_ij), the first of equal ones: (B, I), (I, J) -> (B, J).

    One input after another, so that no (B, I, J) is ever there.
    """

    def step(carry, row):
        best, index = carry
        i, x_i, w_i = row
        total = x_i[:, None] + w_i[None]
        better = (total > best) | jnp.isnan(total)
        return (jnp.where(better, total, best), jnp.where(better, i, index)), None

    size = (x.shape[0], w.shape[1])
    start = jnp.full(size, -jnp.inf, x.dtype), jnp.zeros(size, jnp.int32)
    rows = jnp.arange(x.shape[1], dtype=jnp.int32), x.T, w
    return lax.scan(step, start, rows)[0][1]


def _max_plus(x: jax.Array, w: jax.Array) -> jax.Array:
    """max_i (x_...i + w_ij), in x's dtype."""
    wide = jnp.promote_types(accumulator_dtype(x.dtype), w.dtype)
    flat, w = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).astype(wide), w.astype(wide)
    index = _largest(lax.stop_gradient(flat), lax.stop_gradient(w))
    # What was the largest is gathered, so that its gradient is a scatter to these places.
    y = jnp.take_along_axis(flat, index, 1) + jnp.take_along_axis(w, index, 0)
    return y.reshape(*x.shape[:-1], w.shape[-1]).astype(x.dtype)


class MaxPlus(CheckedModule):
    """A dense layer of the max-plus algebra, which selects where a linear one mixes.

    After a linear layer, in place of an activation: an output follows one input, and a filter that
    no output selects can be pruned.

        y_j = max_i (x_i + w_ij)

    Args:
      features: number of outputs.
      weight_init: `init(key, shape, dtype)` of the parameter "weight" (I, features). Its spread,
        beside that of x, says how much the outputs differ.

    Call:
      x: (..., I), floating.

    Returns:
      (..., features) in the dtype of x. The gradient goes to the largest term alone, the first of
      equal ones. The memory is that of x, of the weights and of the outputs.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Zhang et al., 2019, https://arxiv.org/abs/1903.08072
    """

    features: Count
    weight_init: Initializer = nn.initializers.normal(1.0)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        return _max_plus(x, self.param("weight", self.weight_init, shape, jnp.float32))


class MaxPlusConv(CheckedModule):
    """A convolution of the max-plus algebra: morphological dilation by learned shapes.

    In morphological networks; max pooling is the case of all weights zero. Erosion is its negative
    of the negative.

        y[t, o] = max_{k, c} (x[t + k - (K - 1) // 2, c] + w[k, c, o])

    Args:
      features: number of outputs of a pixel.
      kernel_size: the window K, an integer >= 1 per spatial axis.
      weight_init: `init(key, shape, dtype)` of the parameter "weight" (*kernel_size, C, features).

    Call:
      x: (B, *spatial, C), floating; beyond its border there is -infinity.

    Returns:
      (B, *spatial, features) in the dtype of x. The gradient goes to the largest term alone, the
      first of equal ones in the order of the weight. The memory is that of x at every place of the
      window.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Nogueira et al., 2021, https://arxiv.org/abs/1906.01751

    Differs from: a textbook's dilation reflects the window; here, as in `Conv`, it is not.
    """

    features: Count
    kernel_size: Sequence[Count]
    weight_init: Initializer = nn.initializers.normal(1.0)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        weight = self.param("weight", self.weight_init, shape, jnp.float32)
        before = [(0, 0), *(((k - 1) // 2, k // 2) for k in self.kernel_size), (0, 0)]
        padded = jnp.pad(x, before, constant_values=-jnp.inf)
        windows = [
            lax.dynamic_slice(padded, (0, *offset, 0), x.shape)
            for offset in np.ndindex(*self.kernel_size)
        ]
        return _max_plus(jnp.concatenate(windows, -1), weight.reshape(-1, self.features))
