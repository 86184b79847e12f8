"""The linear model."""

import flax.linen as nn
import jax

from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.nn._dense import Dense
from jaxopt_lab.nn.initializers import Initializer, initializer, lasting
from jaxopt_lab.nn.layers import Init, flat


class Linear(nn.Module):
    """One dense layer on the flattened input; see `linear`."""

    outputs: int
    init_name: Init | Initializer
    bias_init: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        del train
        kernel, bias = initializer(self.init_name), nn.initializers.constant(self.bias_init)
        return Dense(self.outputs, kernel_init=kernel, bias_init=bias)(flat(x))


@checked
@renamed(classes="outputs")
def linear(outputs: Count, *, init: Init = "gaussian", bias_init: float = 0.0) -> Linear:
    """A linear model of the pixels.

    Ridge regression, softmax regression or a support vector machine: the loss and the penalty say
    which. `jaxopt_lab.linear` solves these to a tolerance;
    here they are trained like any network.

        z = W x + b

    Args:
      outputs: how many numbers it gives a sample.
      init: of the kernel, by name.
      bias_init: the value at which the biases start.

    Returns:
      A Linen module, `apply(variables, x, train=...)`: (B, ...) -> (B, outputs).

    Raises:
      ArgumentError: for an unknown name, or a number out of its range.

    Reference: Hastie et al., The Elements of Statistical Learning, 2009, chapters 3 and 4.
    """
    return Linear(outputs, lasting(init), bias_init)
