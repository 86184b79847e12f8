"""The layers of a model, all built from the same few choices."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import flax.linen as nn
import jax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import OneOf
from jaxopt_lab.nn._conv import Conv
from jaxopt_lab.nn._dense import Dense
from jaxopt_lab.nn.activations import activation
from jaxopt_lab.nn.initializers import Initializer, initializer, lasting, names
from jaxopt_lab.nn.normalizations import normalization
from jaxopt_lab.nn.weight_standardization import WeightStandardization

Activation = Literal["relu", "leaky_relu", "prelu", "elu", "gelu", "silu", "tanh", "sigmoid"]
Norm = Literal["none", "batch", "layer", "group", "instance"]
Init = Annotated[str, OneOf(names)]
"""An initializer by name."""


def flat(x: jax.Array) -> jax.Array:
    """(B, ...) as (B, I), an empty batch too, of which `reshape` could not tell I."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def check_images(x: jax.Array) -> None:
    """Make sure that a convolutional network is given images.

    Raises:
      InputError: where x is not (B, H, W, C).
    """
    if x.ndim != 4:
        raise InputError(
            f"a convolutional network needs images (B, H, W, C), got {x.shape}: reshape them, or "
            "use mlp"
        )


@dataclass(frozen=True)
class Layers:
    """What the layers of a model have in common; its methods build them inside a compact method.

    Attributes:
      norm: of `normalize`, by name.
      activation: of `activate`, by name.
      init: of every kernel, by name.
      bias_init: the value at which every bias of a kernel starts.
      weight_standardization: of every kernel but the last layer's.
    """

    norm: Norm
    activation: Activation
    init: Init | Initializer
    bias_init: float
    weight_standardization: WeightStandardization

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", lasting(self.init))

    @property
    def bias(self) -> Initializer:
        """The initializer of biases."""
        return nn.initializers.constant(self.bias_init)

    def conv(self, features: int, size: int, stride: int = 1, **options: Any) -> nn.Module:
        """A convolution with "same" padding, (size - 1) / 2 on every side whatever the stride.

        Its bias is left out where a normalization has one.
        """
        low, high = (size - 1) // 2, size // 2
        given = {"use_bias": self.norm == "none", "kernel_init": initializer(self.init)} | options
        return Conv(
            features,
            (size, size),
            (stride, stride),
            padding=((low, high), (low, high)),
            bias_init=self.bias,
            weight_standardization=self.weight_standardization,
            **given,
        )

    def dense(self, features: int, **options: Any) -> nn.Module:
        """A hidden dense layer; its bias is left out where a normalization has one."""
        return Dense(
            features,
            use_bias=self.norm == "none",
            kernel_init=initializer(self.init),
            bias_init=self.bias,
            weight_standardization=self.weight_standardization,
            **options,
        )

    def output(self, features: int) -> nn.Module:
        """The last dense layer, which is neither normalized nor standardized."""
        return Dense(
            features,
            kernel_init=initializer(self.init),
            bias_init=self.bias,
        )

    def normalize(self, x: jax.Array, *, train: bool, **options: Any) -> jax.Array:
        """The normalization of x; x itself where there is none."""
        layer = normalization(self.norm)
        return x if layer is None else layer(**options)(x, train=train)

    def activate(self, x: jax.Array) -> jax.Array:
        """The activation of x."""
        return activation(self.activation)(x)
