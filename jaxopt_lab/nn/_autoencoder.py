"""The deep autoencoder."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.nn.layers import Activation, Init, Layers, flat


class Autoencoder(nn.Module):
    """An encoder, a linear code, and the encoder's mirror image; see `autoencoder`."""

    outputs: int
    hidden: Sequence[int]
    code: int
    layers: Layers

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        del train
        x = flat(x)
        for width in self.hidden:
            x = self.layers.activate(self.layers.dense(width)(x))
        x = self.layers.dense(self.code)(x)
        for width in reversed(self.hidden):
            x = self.layers.activate(self.layers.dense(width)(x))
        return self.layers.output(self.outputs)(x)


@checked
@renamed(classes="outputs")
def autoencoder(
    outputs: Count,
    *,
    hidden: Sequence[Count] = (1000, 500, 250),
    code: Count = 30,
    activation: Activation = "tanh",
    init: Init = "glorot_normal",
    bias_init: float = 0.0,
) -> Autoencoder:
    """The deep autoencoder: an image through a short code and back, a hard task for first order.

    The classic test of second-order methods: 784-1000-500-250-30-250-500-1000-784 on MNIST. The
    outputs are the logits of the pixels, for `losses.logistic` against the flattened image, which
    is in [0, 1].

        h <- x;  h <- phi(W h + b) for each width of `hidden`;  c = W h + b
        h <- c;  h <- phi(W h + b) for each width from the last;  z = W h + b

    Args:
      outputs: how many numbers it gives a sample: pixels times channels of an image, where it
        is to be rebuilt.
      hidden: widths of the encoder; the decoder has them in reverse.
      code: width of the middle layer, which is linear.
      activation: phi, by name.
      init: of the kernels, by name.
      bias_init: the value at which biases start.

    Returns:
      A Linen module, `apply(variables, x, train=...)`: (B, ...) -> (B, outputs).

    Raises:
      ArgumentError: for an unknown name, or a number out of its range.

    Reference: Hinton and Salakhutdinov, 2006, https://doi.org/10.1126/science.1127647; as a task
    of optimization: Martens, 2010, https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf

    Differs from: the papers' units are logistic, with pre-training or sparse initial weights; from
    dense ones such a network leaves its first plateau late. kfac-jax's example has tanh as here.
    """
    layers = Layers("none", activation, init, bias_init, "none")
    return Autoencoder(outputs, tuple(hidden), code, layers)
