"""A step every so many calls, by the mean gradient."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.control.states import inner_transformation, select_step, zero_where
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.ranges import Count, checked
from jaxopt_lab.core.transformation import as_arrays, joined, require_like, trained_part
from jaxopt_lab.core.tree import zeros_accumulator
from jaxopt_lab.core.types import Params


class MultiStepsState(NamedTuple):
    """Gradients gathered since the last step, and the wrapped state.

    Attributes:
      calls: since the last step, in [0, every).
      mean: of their gradients, float32 or wider.
      inner: state of the wrapped transformation.
    """

    calls: jax.Array
    mean: Params
    inner: Any


@declare(place="wrapper", given={"inner": "inner"}, in_files=False)
@checked
def multi_steps(
    inner: optax.GradientTransformation, *, every: Count
) -> optax.GradientTransformationExtraArgs:
    """Take a step at every so many calls, by the mean of their gradients.

    For a batch that does not fit in memory, given in parts of one size.

        u <- 0                        at `every - 1` calls of `every`
        u <- inner(mean of the g)     at the last, and then the mean begins anew

    Controls inside see every measurement at its own call, with the parameters of that call, the
    silent ones too: a plateau and early stopping count them as they would around it. All else in
    the wrapped state moves at the last call only. Extra arguments of that call, a `curvature` for
    one, are those of the step. The wrapped method is computed at every call and chosen at the last,
    as in `optax.MultiSteps`.

    Args:
      inner: an optimizer or a whole chain.
      every: calls a step, >= 1; a number or a traced array.

    Returns:
      A transformation; state `MultiStepsState(calls, mean, inner)`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: `optax.MultiSteps`.

    Differs from: optax drops the measurements of the silent calls, which a control inside cannot
    know, and gathers in float32 whatever the gradients are.
    """
    inner = inner_transformation(inner)

    def init(params):
        params = as_arrays(params)
        mean = zeros_accumulator(trained_part(params, params))
        return MultiStepsState(jnp.zeros([], jnp.int32), mean, inner.init(params))

    def update(updates, state, params=None, **extra):
        updates = as_arrays(updates)
        if params is not None:
            require_like(updates, params)
        calls = state.calls + 1
        mean = jax.tree.map(
            lambda m, g: m + (g.astype(m.dtype) - m) / calls.astype(m.dtype),
            state.mean,
            trained_part(updates, updates if params is None else params),
        )
        steps = calls >= every
        updates, new = inner.update(joined(mean, updates), state.inner, params, **extra)
        return zero_where(~steps, updates), MultiStepsState(
            calls=jnp.where(steps, 0, calls),
            mean=zero_where(steps, mean),
            inner=select_step(steps, new, state.inner),
        )

    return optax.GradientTransformationExtraArgs(init, update)
