"""Weight standardization: each output unit's weights with mean 0 and a set variance."""

import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxopt_lab.core.tree import accumulator_dtype

WeightStandardization = Literal["none", "standard", "scaled"]


def _centered(kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """w - mean and the variance over the fan-in, float32 or wider."""
    axes = tuple(range(kernel.ndim - 1))
    w = kernel.astype(accumulator_dtype(kernel.dtype))
    w = w - w.mean(axes, keepdims=True)
    return w, jnp.square(w).mean(axes, keepdims=True)


def standardize(kernel: jax.Array) -> jax.Array:
    """Weight standardization of a kernel.

    With group normalization in place of batch normalization, on small batches.

        w^ = (w - mean(w)) / (std(w) + 1e-5)      for each output unit, over its fan-in

    Args:
      kernel: (..., I, O), floating; the last axis is the output unit.

    Returns:
      The shape and dtype of `kernel`; of constant weights, zeros.

    Reference: Qiao et al., 2019, https://arxiv.org/abs/1903.10520

    Differs from: the paper's code takes the unbiased std, of n - 1; here the variance is 1.
    """
    w, var = _centered(kernel)
    # The root has no derivative at 0.
    std = jnp.where(var > 0, jnp.sqrt(jnp.where(var > 0, var, 1)), 0)
    return (w / (std + 1e-5)).astype(kernel.dtype)


def scaled_standardize(kernel: jax.Array, gain: jax.Array) -> jax.Array:
    """Scaled weight standardization of a kernel, which keeps the variance of what passes.

    For networks without normalization (NF-Nets).

        w^ = gain (w - mean(w)) / sqrt(max(n var(w), 1e-4))     for each output unit

    over its fan-in of n weights.

    Args:
      kernel: (..., I, O), floating; the last axis is the output unit.
      gain: (O,), learned.

    Returns:
      The shape and dtype of `kernel`; of constant weights, zeros.

    Reference: Brock et al., 2021, https://arxiv.org/abs/2102.06171, eq. 1 and its code (1e-4).
    """
    w, var = _centered(kernel)
    fan_in = math.prod(kernel.shape[:-1])
    factor = lax.rsqrt(jnp.maximum(fan_in * var, 1e-4))
    return (w * (factor * gain.reshape(factor.shape))).astype(kernel.dtype)


class StandardizedKernel:
    """Gives a Linen layer its "kernel" standardized, by its field `weight_standardization`.

    The stored parameter stays the raw kernel. "scaled" adds the parameter "gain" (O,), ones.
    """

    weight_standardization: WeightStandardization

    def param(self, name: str, *args: Any, **kwargs: Any) -> Any:
        value = super().param(name, *args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        if name != "kernel" or self.weight_standardization == "none":
            return value
        if self.weight_standardization == "standard":
            return standardize(value)
        ones = nn.initializers.ones
        return scaled_standardize(value, self.param("gain", ones, value.shape[-1:], value.dtype))
