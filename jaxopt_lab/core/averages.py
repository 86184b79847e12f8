"""Moving averages and their bias corrections, each formula once.

Formulas that agree in exact arithmetic and differ in rounding stand side by side. Each says who
computes by it, because a run must repeat its numbers to the last bit.
"""

import math
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp


def moving_average(decay: float | jax.Array, average: jax.Array, new: jax.Array) -> jax.Array:
    """`decay average + (1 - decay) new`, in the average's dtype: the moments of optimizers."""
    return (decay * average + (1 - decay) * new).astype(average.dtype)


def blend(average: jax.Array, new: jax.Array, weight: jax.Array) -> jax.Array:
    """`(1 - weight) average + weight new`, in the average's dtype: averages of parameters.

    Exactly `new` where the weight is 1. From the weight and not from `1 - weight`, because float32
    knows a small weight better: 1 - (1 - 1e-4) is off by a part in 10,000.
    """
    return ((1 - weight) * average + weight * new.astype(average.dtype)).astype(average.dtype)


def step_toward(average: Any, new: Any, weight: jax.Array) -> Any:
    """`average + weight (new - average)`, in the average's dtypes: second-order statistics.

    A weight of 0 leaves the average exactly as it was.
    """
    return jax.tree.map(lambda a, x: (a + weight * (x - a)).astype(a.dtype), average, new)


def bias_correction(decay: float | jax.Array, steps: jax.typing.ArrayLike) -> jax.Array:
    """`1 - decay^steps`: the sum of the weights in a moving average that began at zero.

    Of the decay as JAX's floats have it, as in optax and Keras (in float32 0.99900001, which moves
    the result by 1e-5), but without the rounding of their power, which is as large again at the
    first steps.
    """
    rounded = float(jnp.result_type(float).type(decay)) if isinstance(decay, Real) else decay
    return _one_minus_power(_logarithm(rounded), steps)


def exact_bias_correction(decay: float | jax.Array, steps: jax.typing.ArrayLike) -> jax.Array:
    """`1 - decay^steps`, of a Python number as double precision has it, as in PyTorch.

    In float32 `1 - 0.999^1` is off by 1e-5.
    """
    return _one_minus_power(_logarithm(decay), steps)


def averaging_weight(decay: float | jax.Array, count: jax.Array) -> jax.Array:
    """The weight of the `count`-th number, from 1, in an average without the bias of its beginning.

    `(1 - decay) / (1 - decay^count)`. With it `step_toward` gives the moving average divided by the
    sum of its weights. Of `1 - decay` as JAX's floats have it.
    """
    share = jnp.asarray(1 - decay, float)
    return jnp.where(count == 1, 1.0, share / _one_minus_power(jnp.log1p(-share), count))


def _logarithm(decay: float | jax.Array) -> float | jax.Array:
    if isinstance(decay, Real):
        number = float(decay)
        return math.log(number) if number > 0 else -math.inf
    return jnp.log(jnp.asarray(decay, float))


def _one_minus_power(logarithm: float | jax.Array, steps: jax.typing.ArrayLike) -> jax.Array:
    """`1 - exp(steps logarithm)`, without cancellation."""
    return -jnp.expm1(jnp.asarray(steps, float) * logarithm)
