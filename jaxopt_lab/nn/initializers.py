"""Initializers: each gives an `init(key, shape, dtype)` for the kernels of a layer.

A kernel is (..., I, O): its fan-in is all axes but the last, its fan-out all but the last but one.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers

from jaxopt_lab.core.own import own
from jaxopt_lab.core.ranges import Positive, checked
from jaxopt_lab.core.registry import lookup
from jaxopt_lab.core.tree import accumulator_dtype

Initializer = Callable[..., jax.Array]


@checked
def gaussian(stddev: Positive = 0.01) -> Initializer:
    """Independent normal weights of one standard deviation, whatever the layer.

    As in the first deep networks; the signal of a deeper one vanishes or explodes.

        w ~ N(0, sigma^2)

    Args:
      stddev: sigma > 0.

    Returns:
      `init(key, shape, dtype=float32)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Krizhevsky et al., 2012, https://doi.org/10.1145/3065386, section 5.
    """
    return jax_initializers.normal(stddev)


def glorot_uniform() -> Initializer:
    """Glorot's (Xavier's) uniform weights, for tanh and sigmoid.

    Between the variances that keep that of the activations and that of the gradients.

        w ~ U(-a, a),  a = sqrt(6 / (fan_in + fan_out))

    Returns:
      `init(key, shape, dtype=float32)`.

    Reference: Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html
    """
    return jax_initializers.glorot_uniform()


def glorot_normal() -> Initializer:
    """Glorot's (Xavier's) normal weights, for tanh and sigmoid.

    As `glorot_uniform`, drawn from a normal distribution cut off at two of its deviations.

        E[w] = 0,  Var[w] = 2 / (fan_in + fan_out)

    Returns:
      `init(key, shape, dtype=float32)`.

    Reference: Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html

    Differs from: PyTorch does not cut off; JAX and Keras do as here.
    """
    return jax_initializers.glorot_normal()


def he_uniform() -> Initializer:
    """He's (Kaiming's) uniform weights, for ReLU.

    The variance of the activations is kept where half of them are zero.

        w ~ U(-a, a),  a = sqrt(6 / fan_in)

    Returns:
      `init(key, shape, dtype=float32)`.

    Reference: He et al., 2015, https://arxiv.org/abs/1502.01852
    """
    return jax_initializers.he_uniform()


def he_normal() -> Initializer:
    """He's (Kaiming's) normal weights, for ReLU.

    As `he_uniform`, drawn from a normal distribution cut off at two of its deviations.

        E[w] = 0,  Var[w] = 2 / fan_in

    Returns:
      `init(key, shape, dtype=float32)`.

    Reference: He et al., 2015, https://arxiv.org/abs/1502.01852

    Differs from: the paper and PyTorch do not cut off; JAX and Keras do as here.
    """
    return jax_initializers.he_normal()


@checked
def orthogonal(scale: Positive = 1.0) -> Initializer:
    """A uniformly random orthogonal matrix (fan_in, O).

    Keeps every length exactly, not only the mean, so that linear networks of any depth train.

        w^T w = scale^2 I,  or w w^T where the fan-in is the smaller

    Args:
      scale: > 0, the gain; sqrt(2) for ReLU.

    Returns:
      `init(key, shape, dtype=float32)` for kernels of two axes or more; the decomposition is in
      float32 at least.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Saxe et al., 2014, https://arxiv.org/abs/1312.6120
    """
    draw = jax_initializers.orthogonal(scale)

    def init(key, shape, dtype=jnp.float32):
        return draw(key, shape, accumulator_dtype(dtype)).astype(dtype)

    return init


@checked
def delta_orthogonal(scale: Positive = 1.0) -> Initializer:
    """An orthogonal matrix at the center of a convolution's window, zero around it.

    Such a convolution keeps the length of every pixel's channels: plain ones of 10,000 layers
    train.

        w[center] = orthogonal (I, O),  w = 0 elsewhere

    Args:
      scale: > 0, the gain; sqrt(2) for ReLU.

    Returns:
      `init(key, shape, dtype=float32)` for kernels (*window, I, O). A dense kernel is one of a
      single pixel, so it gets `orthogonal`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Xiao et al., 2018, https://arxiv.org/abs/1806.05393

    Differs from: JAX's refuses dense kernels and I > O, where here w w^T replaces w^T w = I.
    """
    draw = orthogonal(scale)

    def init(key, shape, dtype=jnp.float32):
        center = tuple((size - 1) // 2 for size in shape[:-2])
        return jnp.zeros(shape, dtype).at[center].set(draw(key, shape[-2:], dtype))

    return init


BY_NAME = {
    f.__name__: f
    for f in (
        gaussian,
        glorot_uniform,
        glorot_normal,
        he_uniform,
        he_normal,
        orthogonal,
        delta_orthogonal,
    )
}


_by_defaults = functools.cache(lambda function: function())
"""So that two equal layers compare equal."""


def names() -> dict[str, Callable[..., Initializer]]:
    """The initializers that a model can name: those of this file, and the user's own."""
    return {**BY_NAME, **own("initializer")}


def initializer(name: str | Initializer) -> Initializer:
    """The initializer of that name, by its defaults; an `init(key, shape, dtype)` as it is.

    Raises:
      InputError: naming the nearest name where there is none such.
    """
    return _by_defaults(lookup(names(), name, "initializer")) if isinstance(name, str) else name


def lasting(name: str | Initializer) -> str | Initializer:
    """A name that stands at all times as it is; a user's own, which may go, as its initializer."""
    return name if name in BY_NAME else initializer(name)
