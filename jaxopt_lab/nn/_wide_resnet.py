"""Wide residual networks."""

import flax.linen as nn
import jax

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import Count, Decay, Depth, checked
from jaxopt_lab.core.renames import renamed
from jaxopt_lab.nn._dropout import Dropout
from jaxopt_lab.nn.layers import Activation, Init, Layers, Norm, check_images
from jaxopt_lab.nn.weight_standardization import WeightStandardization


class WideBlock(nn.Module):
    """Normalization and activation before each of two 3x3 convolutions, and x beside them."""

    width: int
    stride: int
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        layers = self.layers
        y = layers.activate(layers.normalize(x, train=train))
        if x.shape[-1] != self.width or self.stride != 1:
            x = layers.conv(self.width, 1, self.stride)(y)
        y = layers.conv(self.width, 3, self.stride)(y)
        y = layers.activate(layers.normalize(y, train=train))
        y = Dropout(self.dropout)(y, train=train)
        return x + layers.conv(self.width, 3)(y)


class WideResNet(nn.Module):
    """A convolution, three stages of blocks, and a dense layer; see `wide_resnet`."""

    outputs: int
    blocks: int
    width: int
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        check_images(x)
        layers = self.layers
        x = layers.conv(16, 3)(x)
        for stage in range(3):
            for i in range(self.blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                width = 16 * self.width * 2**stage
                x = WideBlock(width, stride, self.dropout, layers)(x, train=train)
        x = layers.activate(layers.normalize(x, train=train))
        return layers.output(self.outputs)(x.mean((1, 2)))


@checked
@renamed(classes="outputs")
def wide_resnet(
    outputs: Count,
    *,
    depth: Depth = 28,
    width: Count = 10,
    norm: Norm = "batch",
    activation: Activation = "relu",
    init: Init = "he_normal",
    bias_init: float = 0.0,
    dropout: Decay = 0.0,
    weight_standardization: WeightStandardization = "none",
) -> WideResNet:
    """A wide residual network: fewer layers than a `resnet`, many times their width.

    For the best accuracy on 32x32 images where there is a GPU: `wide_resnet(10)` has 36.5 million
    parameters, `wide_resnet(10, depth=16, width=4)` has 2.7.

        y = W2 dropout(phi(norm(W1 phi(norm(x))))) + x

    Args:
      outputs: how many numbers it gives a sample.
      depth: 6 n + 4 for three stages of n blocks.
      width: k, the multiple of the 16, 32 and 64 channels of the stages.
      norm: before every activation: "batch", "layer", "group", "instance" or "none".
      activation: phi, by name.
      init: of the kernels, by name.
      bias_init: the value at which biases beside a kernel start.
      dropout: probability of dropping a unit between the two convolutions, in [0, 1).
      weight_standardization: of the convolutions: "standard", "scaled" or "none".

    Returns:
      A Linen module, `apply(variables, x, train=...)`: (B, H, W, C) -> (B, outputs).

    Raises:
      ArgumentError: for an unknown name, a depth that there is not, a number out of its range.

    Reference: Zagoruyko and Komodakis, 2016, https://arxiv.org/abs/1605.07146
    """
    if depth < 10 or depth % 6 != 4:
        text = f"must be 6 n + 4 (10, 16, 22, 28, 40), got {depth}"
        raise ArgumentError("wide_resnet", {"depth": text})
    layers = Layers(norm, activation, init, bias_init, weight_standardization)
    return WideResNet(outputs, depth // 6, width, dropout, layers)
