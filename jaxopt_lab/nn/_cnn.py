"""A small convolutional network."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count, Decay, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.nn._dropout import Dropout
from jaxopt_lab.nn.layers import Activation, Init, Layers, Norm, check_images
from jaxopt_lab.nn.weight_standardization import WeightStandardization


class CNN(nn.Module):
    """Convolutions, halving the size between stages; see `cnn`."""

    outputs: int
    channels: Sequence[int]
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        check_images(x)
        layers = self.layers
        for i, width in enumerate(self.channels):
            x = layers.conv(width, 3, 1 if i == 0 else 2)(x)
            x = layers.activate(layers.normalize(x, train=train))
        x = Dropout(self.dropout)(x.mean((1, 2)), train=train)
        return layers.output(self.outputs)(x)


@checked
@renamed(classes="outputs")
def cnn(
    outputs: Count,
    *,
    channels: Sequence[Count] = (32, 64, 128),
    norm: Norm = "batch",
    activation: Activation = "relu",
    init: Init = "he_normal",
    bias_init: float = 0.0,
    dropout: Decay = 0.0,
    weight_standardization: WeightStandardization = "none",
) -> CNN:
    """A small convolutional network: 3x3 convolutions, then the mean over space and a dense layer.

    For images of any size; each stage after the first halves height and width.

    Args:
      outputs: how many numbers it gives a sample.
      channels: width of each convolution, at least one.
      norm: before each activation: "batch", "layer", "group", "instance" or "none".
      activation: by name, after each convolution.
      init: of the kernels, by name.
      bias_init: the value at which biases beside a kernel start.
      dropout: probability of dropping a feature before the dense layer, in [0, 1).
      weight_standardization: of the convolutions: "standard", "scaled" or "none".

    Returns:
      A Linen module, `apply(variables, x, train=...)`: (B, H, W, C) -> (B, outputs).

    Raises:
      InputError: for an unknown name, no channels, or a number out of its range.

    Reference: Springenberg et al., 2015, https://arxiv.org/abs/1412.6806 (strides for pooling).
    """
    if not channels:
        raise InputError("cnn: channels must hold at least one width, got an empty list")
    layers = Layers(norm, activation, init, bias_init, weight_standardization)
    return CNN(outputs, tuple(channels), dropout, layers)
