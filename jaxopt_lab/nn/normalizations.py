"""Normalizations: four choices of what to average over, called alike."""

import math
from collections.abc import Callable
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Decay, Positive, Range
from jaxopt_lab.core.registry import lookup
from jaxopt_lab.core.tree import accumulator_dtype
from jaxopt_lab.nn.checked_module import CheckedModule
from jaxopt_lab.nn.initializers import Initializer

Average = Callable[[jax.Array], jax.Array]


def _moments(x: jax.Array, average: Average) -> tuple[jax.Array, jax.Array]:
    """Mean and variance, in two passes: E[x^2] - E[x]^2 cancels where the mean is large."""
    mean = average(x)
    return mean, average(jnp.square(x - mean))


def _aligned(x: jax.Array) -> tuple[int, ...]:
    """The shape in which (C,) goes with x."""
    return (1,) * (x.ndim - 1) + (x.shape[-1],)


class _Normalization(CheckedModule, kw_only=True):
    """The fields that all share, and the affine map after the normalization."""

    epsilon: Positive = 1e-5
    use_scale: bool = True
    use_bias: bool = True
    scale_init: Initializer = nn.initializers.ones
    bias_init: Initializer = nn.initializers.zeros

    def _normalize(self, x: jax.Array, mean: jax.Array, var: jax.Array) -> jax.Array:
        def parameter(name, init):
            return self.param(name, init, x.shape[-1:], jnp.float32).reshape(_aligned(x))

        # The small factors first, so that the gradients take fewer sums over x.
        factor = lax.rsqrt(var + self.epsilon)
        if self.use_scale:
            factor = factor * parameter("scale", self.scale_init)
        y = (x - mean) * factor
        return y + parameter("bias", self.bias_init) if self.use_bias else y


class BatchNorm(_Normalization):
    """Batch normalization: each channel over the batch and space.

    The usual choice for convolutional networks on batches of 32 and more.

        y = (x - mean) / sqrt(var + epsilon) * scale + bias
        running <- momentum running + (1 - momentum) batch

    with the batch's own mean and biased variance in training, and the running ones in evaluation.
    The running ones are "mean" and "var" (C,) of the collection "batch_stats", which starts at
    0 and 1 and must be mutable in training. `init` and an empty batch leave them as they are.

    Args:
      momentum: share that a running statistic keeps in one step, in [0, 1).
      epsilon: > 0, added to the variance.
      use_scale, use_bias: whether there is a learned scale, a learned bias, each (C,) float32.
      scale_init, bias_init: their `init(key, shape, dtype)`.

    Call:
      x: (B, ..., C), floating. One value a channel in all gives the bias.
      train: whether to normalize by the batch.

    Returns:
      The shape and dtype of x; statistics are float32, or float64 for a float64 x.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167

    Differs from: the paper and PyTorch make the running variance unbiased, by n / (n - 1), which
    matters for few values a channel; Flax and Keras do not. PyTorch's momentum is 1 minus this
    one. Flax's default is 0.99 and its variance loses digits where the mean is large.
    """

    momentum: Decay = 0.9

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        dtype, shape = accumulator_dtype(x.dtype), x.shape[-1:]
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, dtype)
        var = self.variable("batch_stats", "var", jnp.ones, shape, dtype)
        if not train:
            moments = mean.value.reshape(_aligned(x)), var.value.reshape(_aligned(x))
        else:
            axes = tuple(range(x.ndim - 1))
            moments = _moments(jnp.asarray(x, dtype), lambda v: v.mean(axes, keepdims=True))
            if x.size and not self.is_initializing():
                for old, new in zip((mean, var), moments, strict=True):
                    moved = self.momentum * old.value + (1 - self.momentum) * new.reshape(shape)
                    old.value = moved.astype(old.value.dtype)
        return self._normalize(x, *moments).astype(x.dtype)


class _Grouped(_Normalization):
    """Each sample alone, over space and the channels of a group."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        del train
        groups, space = self._count(x.shape), tuple(range(1, x.ndim - 1))
        members = x.shape[-1] // groups

        def average(v):
            """Over space, then over the channels of a group, given to each of them."""
            channels = v.mean(space, keepdims=True)
            grouped = channels.reshape(*channels.shape[:-1], groups, members)
            return jnp.repeat(grouped.mean(-1), members, axis=-1)

        moments = _moments(jnp.asarray(x, accumulator_dtype(x.dtype)), average)
        return self._normalize(x, *moments).astype(x.dtype)

    def _count(self, shape: tuple[int, ...]) -> int:
        raise NotImplementedError


class GroupNorm(_Grouped):
    """Group normalization: the channels of one sample in groups, each over space and its channels.

    Where the batch is too small for `BatchNorm`; training and evaluation are the same.

        y = (x - mean) / sqrt(var + epsilon) * scale + bias

    Args:
      groups: divides C; None takes the most that divide it, up to 32 and of 2 channels or more.
      epsilon: > 0, added to the variance, which is the biased one.
      use_scale, use_bias: whether there is a learned scale, a learned bias, each (C,) float32.
      scale_init, bias_init: their `init(key, shape, dtype)`.

    Call:
      x: (B, ..., C), floating.
      train: without effect.

    Returns:
      The shape and dtype of x; statistics are float32, or float64 for a float64 x.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: at the call, where `groups` does not divide C.

    Reference: Wu and He, 2018, https://arxiv.org/abs/1803.08494

    Differs from: Flax asks for a number of groups that fits (its default is 32), its epsilon is
    1e-6, and its variance loses digits where the mean is large. PyTorch's equals this one.
    """

    groups: Annotated[int | None, Range(1)] = None

    def _count(self, shape: tuple[int, ...]) -> int:
        channels = shape[-1]
        if self.groups is None:
            few = range(1, min(32, channels // 2) + 1)
            return max((g for g in few if channels % g == 0), default=1)
        if channels % self.groups:
            low = [g for g in range(1, math.isqrt(channels) + 1) if channels % g == 0]
            fitting = sorted({*low, *(channels // g for g in low)})
            raise InputError(
                f"GroupNorm: groups must divide the number of channels, got {self.groups} groups "
                f"for {channels} channels; it is divided by {', '.join(map(str, fitting))}"
            )
        return self.groups


class LayerNorm(_Grouped):
    """Layer normalization: one sample's space and channels together.

    For perceptrons, and convolutional networks on small batches; it is `GroupNorm` of one group.

        y = (x - mean) / sqrt(var + epsilon) * scale + bias

    Args:
      epsilon: > 0, added to the variance, which is the biased one.
      use_scale, use_bias: whether there is a learned scale, a learned bias, each (C,) float32.
      scale_init, bias_init: their `init(key, shape, dtype)`.

    Call:
      x: (B, ..., C), floating.
      train: without effect.

    Returns:
      The shape and dtype of x; statistics are float32, or float64 for a float64 x.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Ba et al., 2016, https://arxiv.org/abs/1607.06450

    Differs from: Flax and Keras average over the last axis only. PyTorch does with
    `normalized_shape` (C, H, W), where scale and bias have that shape too. For x (B, C) all agree.
    """

    def _count(self, shape: tuple[int, ...]) -> int:
        del shape
        return 1


class InstanceNorm(_Grouped):
    """Instance normalization: each channel of one sample over space.

    Takes the contrast out of each image, as in style transfer; it is `GroupNorm` of C groups.

        y = (x - mean) / sqrt(var + epsilon) * scale + bias

    Args:
      epsilon: > 0, added to the variance, which is the biased one.
      use_scale, use_bias: whether there is a learned scale, a learned bias, each (C,) float32.
      scale_init, bias_init: their `init(key, shape, dtype)`.

    Call:
      x: (B, *spatial, C), floating. A single pixel gives the bias.
      train: without effect.

    Returns:
      The shape and dtype of x; statistics are float32, or float64 for a float64 x.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: at the call, for an x without space, of which nothing would be left.

    Reference: Ulyanov et al., 2016, https://arxiv.org/abs/1607.08022

    Differs from: PyTorch's has no scale and bias unless asked (`affine=True`), and refuses a single
    pixel in training.
    """

    def _count(self, shape: tuple[int, ...]) -> int:
        if len(shape) < 3:
            raise InputError(
                f"InstanceNorm: needs (B, *spatial, C), got {shape}: without space each value is "
                "its own mean. Use LayerNorm for dense layers"
            )
        return shape[-1]


NORMALIZATIONS: dict[str, Callable[..., Any] | None] = {
    "batch": BatchNorm,
    "layer": LayerNorm,
    "group": GroupNorm,
    "instance": InstanceNorm,
    "none": None,
}


def normalization(name: str) -> Callable[..., nn.Module] | None:
    """The normalization layer of that name, None for "none".

    All are made as `layer()` or with their own fields, and called as `layer(x, train=train)`.

    Raises:
      InputError: naming the nearest name where there is none such.
    """
    return lookup(NORMALIZATIONS, name, "normalization")
