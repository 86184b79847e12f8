"""What is measured of a step itself, every so many steps.

A `Probe` measures a state before a step; a `Meter` sees the gradient, what the optimizer was given
and what it gave, of the very step that is taken, so that nothing is computed twice.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_lab.core.norm import norm
from jaxopt_lab.core.transformation import as_arrays
from jaxopt_lab.core.tree import find_state
from jaxopt_lab.core.types import Params

ROW = "meter"
"""Of a step's metrics, the one with the meter's numbers, (M,)."""


class Seen(NamedTuple):
    """One step.

    Attributes:
      params: before it.
      grads: as they come from the objective.
      updates: what is added to the parameters.
      opt_state: after it.
    """

    params: Params
    grads: Params
    updates: Params
    opt_state: Any


class Meter(NamedTuple):
    """A measurement of a step.

    Attributes:
      every: of the steps, counted from 1, those are measured that this divides.
      names: `params -> names of the M numbers`.
      measure: `Seen -> (M,)`, float32 or wider.
      branches: whether steps that are not measured leave it out; else it is computed at each.
    """

    every: int
    names: Callable[[Params], tuple[str, ...]]
    measure: Callable[[Seen], jax.Array]
    branches: bool = True

    def due(self, step: jax.Array) -> jax.Array:
        """Whether the step after so many is measured."""
        return (step + 1) % self.every == 0

    def row(self, due: jax.Array, seen: Seen) -> jax.Array:
        """The numbers, (M,), where they are due, else NaN."""
        shape = jax.eval_shape(self.measure, seen)
        nothing = jnp.full(shape.shape, jnp.nan, shape.dtype)
        return _where(due, self.measure, lambda seen: nothing, seen, self.branches)

    def named(self, rows: dict[str, np.ndarray], params: Params) -> dict[str, np.ndarray]:
        """Rows of many steps with the numbers, (..., M), as a column each.

        Args:
          rows: metrics of steps.
          params: of the run, or their shapes, for the names.
        """
        values = rows[ROW]
        columns = {name: values[..., i] for i, name in enumerate(self.names(params))}
        return {name: v for name, v in rows.items() if name != ROW} | columns


class GivenNorm(NamedTuple):
    """The norm of what came to this place of a chain in the last step that was measured."""

    norm: jax.Array


def keep_given_norm(*, branches: bool = True) -> optax.GradientTransformationExtraArgs:
    """Let everything pass, and keep its global norm; `given_norm` reads it.

    It is that of the last call with the extra `measured`, a bool scalar; `branches` as of `Meter`.
    """

    def init(params):
        del params
        return GivenNorm(jnp.full([], jnp.nan, float))

    def update(updates, state, params=None, *, measured=False, **extra):
        del params, extra
        updates = as_arrays(updates)
        found = _where(measured, _global_norm, lambda _: state.norm, updates, branches)
        return updates, GivenNorm(found)

    return optax.GradientTransformationExtraArgs(init, update)


def given_norm(opt_state: Any) -> jax.Array:
    """The norm that the one `keep_given_norm` of a chain has kept."""
    return find_state(opt_state, "keep_given_norm", GivenNorm).norm


def _where(condition: Any, this: Callable, other: Callable, given: Any, branches: bool) -> Any:
    if branches:
        return jax.lax.cond(condition, this, other, given)
    return jnp.where(condition, this(given), other(given))


def _global_norm(tree: Params) -> jax.Array:
    found = norm(tree)
    return jnp.asarray(found.size / found.inverse, float)
