"""Stages of 3x3 convolutions with shortcuts or without: what `resnet` and `plain` build."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.nn._dropout import Dropout
from jaxopt_lab.nn.layers import Layers, check_images

Shortcut = Literal["identity", "projection", "none"]

# Blocks of each stage where depth is not 6 n + 2, and the width of the first stage there.
_IMAGENET = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, and x beside them."""

    width: int
    stride: int
    shortcut: Shortcut
    zero_init: bool
    layers: Layers

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        layers, zeros = self.layers, nn.initializers.zeros
        y = layers.conv(self.width, 3, self.stride)(x)
        y = layers.activate(layers.normalize(y, train=train))
        if not self.zero_init:
            y = layers.normalize(layers.conv(self.width, 3)(y), train=train)
        elif layers.norm == "none":
            y = layers.conv(self.width, 3, kernel_init=zeros)(y)
        else:
            y = layers.normalize(layers.conv(self.width, 3)(y), train=train, scale_init=zeros)
        if self.shortcut != "none":
            y = y + self._beside(x, train)
        return layers.activate(y)

    def _beside(self, x: jax.Array, train: bool) -> jax.Array:
        if self.stride == 1 and x.shape[-1] == self.width:
            return x
        if self.shortcut == "projection":
            x = self.layers.conv(self.width, 1, self.stride)(x)
            return self.layers.normalize(x, train=train)
        x = x[:, :: self.stride, :: self.stride]
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.width - x.shape[-1])))


class ResNet(nn.Module):
    """A convolution, stages of blocks at half the size and twice the width each, a dense layer."""

    outputs: int
    blocks: tuple[int, ...]
    width: int
    shortcut: Shortcut
    zero_init: bool
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        check_images(x)
        layers = self.layers
        x = layers.conv(self.width, 3)(x)
        x = layers.activate(layers.normalize(x, train=train))
        for stage, count in enumerate(self.blocks):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                width = self.width * 2**stage
                block = BasicBlock(width, stride, self.shortcut, self.zero_init, layers)
                x = block(x, train=train)
        x = Dropout(self.dropout)(x.mean((1, 2)), train=train)
        return layers.output(self.outputs)(x)


def blocks_of(function: str, depth: int) -> tuple[int, ...]:
    """Blocks a stage of a network of that many layers.

    Raises:
      ArgumentError: for a depth that no such network has.
    """
    if depth in _IMAGENET:
        return _IMAGENET[depth]
    if depth < 8 or depth % 6 != 2:
        text = f"must be 6 n + 2 (20, 32, 44, 56, 110), or 18 or 34, got {depth}"
        raise ArgumentError(function, {"depth": text})
    return (depth // 6,) * 3


def first_width(depth: int) -> int:
    """Channels of the first stage in the paper's network of that depth."""
    return 64 if depth in _IMAGENET else 16
