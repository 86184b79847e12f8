"""Moving averages and their bias corrections, each formula once.

Formulas that agree in exact arithmetic and differ in rounding stand side by side. Each says who
computes by it, because a run must repeat its numbers to the last bit.
"""

import math
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.transformation import trained_part
from jaxopt_lab.core.tree import is_trained, widen, zeros_accumulator
from jaxopt_lab.core.types import Params


def moving_average(decay: float | jax.Array, average: jax.Array, new: jax.Array) -> jax.Array:
    """`decay average + (1 - decay) new`, in the average's dtype: the moments of optimizers."""
    return (decay * average + (1 - decay) * new).astype(average.dtype)


def begun_average(params: Params) -> tuple[Params, Params]:
    """The average of these parameters alone, float32 or wider, and what rounding took: nothing."""
    average = jax.tree.map(lambda p: jnp.array(p, copy=True), widen(params))
    return average, zeros_accumulator(trained_part(params, params))


def parameters_toward(
    average: Params, rest: Params, new: Params, weight: jax.Array
) -> tuple[Params, Params]:
    """`a + weight (new - a)`, leaf by leaf, and what rounding took: averages of parameters.

    A float32 average alone stands still as soon as weight |new - a| is less than half a unit of its
    last place: with a weight of 1e-4 at 3e-4 |a| from its goal. So what was rounded off is kept in
    `rest`, and added at the next step (Kahan's summation). A weight of 1 gives exactly `new`, and
    so has every leaf that cannot be trained.
    """

    def step(a, rest, new):
        if not is_trained(a):
            return new, rest
        x = new.astype(a.dtype)
        change = rest + weight * ((x - a) - rest)
        moved = (a + change).astype(a.dtype)
        left = (change - (moved - a)).astype(a.dtype)
        return jnp.where(weight == 1, x, moved), jnp.where(weight == 1, 0, left)

    leaves, structure = jax.tree.flatten(average)
    trees = (structure.flatten_up_to(tree) for tree in (rest, new))
    pairs = [step(*each) for each in zip(leaves, *trees, strict=True)]
    return structure.unflatten([a for a, _ in pairs]), structure.unflatten([r for _, r in pairs])


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
