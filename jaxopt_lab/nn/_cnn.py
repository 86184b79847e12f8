"""A small convolutional network."""

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count, Decay, checked
from jaxopt_lab.nn._activations import activation as by_name
from jaxopt_lab.nn._conv import Conv


class CNN(nn.Module):
    """Convolutions, halving the size between stages; see `cnn`."""

    classes: int
    channels: Sequence[int]
    activation: str
    norm: str
    dropout: float

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        for i, width in enumerate(self.channels):
            stride = 1 if i == 0 else 2
            x = Conv(width, (3, 3), (stride, stride), use_bias=self.norm == "none")(x)
            if self.norm == "batch":
                x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
            x = by_name(self.activation)(x)
        x = x.mean((1, 2))
        if self.dropout:
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.classes)(x)


@checked
def cnn(
    classes: Count,
    *,
    channels: Sequence[Count] = (32, 64, 128),
    activation: str = "relu",
    norm: Literal["none", "batch"] = "batch",
    dropout: Decay = 0.0,
) -> CNN:
    """A small convolutional network: 3x3 convolutions, then the mean over space and a dense layer.

    For images of any size; each stage after the first halves height and width.

    Args:
      classes: number of outputs.
      channels: width of each convolution, at least one.
      activation: by name, after each convolution.
      norm: "batch" for batch normalization before the activation, or "none".
      dropout: probability of dropping a feature before the dense layer, in [0, 1).

    Returns:
      A Linen module, `apply(variables, x, train=...)`: (B, H, W, C) -> (B, classes).

    Raises:
      InputError: for an unknown activation or norm, no channels, or a number out of its range.

    Reference: Springenberg et al., 2015, https://arxiv.org/abs/1412.6806 (strides for pooling).
    """
    by_name(activation)
    if not channels:
        raise InputError("cnn: channels must hold at least one width, got an empty list")
    return CNN(classes, tuple(channels), activation, norm, dropout)
