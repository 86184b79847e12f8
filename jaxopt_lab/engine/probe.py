"""What is measured every so many steps beside training, inside the compiled loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.step import Step

CountedStep = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, dict[str, jax.Array]]]


class Probe(NamedTuple):
    """A measurement of the state before a step.

    Attributes:
      every: of the steps, counted from 1, those measure that this divides.
      start: `(state, key) -> what is carried` from one measurement to the next.
      measure: `(state, batch) -> (what is carried on, {name: scalar})`, of `state.probe`.
    """

    every: int
    start: Callable[[TrainState, jax.Array], Any]
    measure: Callable[[TrainState, Batch], tuple[Any, dict[str, jax.Array]]]


def with_probe(step: Step, probe: Probe | None) -> CountedStep:
    """`(state, batch, k) -> (state, row)`, where k is the step as the loop counts it.

    The count is apart from the state, because under `vmap` it stays one number for all lanes: the
    branch stays a branch, and steps that do not measure cost nothing. Their row has NaN.
    """
    if probe is None:
        return lambda state, batch, k: step(state, batch)

    def measured(state: TrainState, batch: Batch):
        carried, row = probe.measure(state, batch)
        return carried, jax.tree.map(lambda v: jnp.asarray(v, float), row)

    def counted(state: TrainState, batch: Batch, k: jax.Array):
        shapes = jax.eval_shape(measured, state, batch)[1]

        def skipped(state, batch):
            return state.probe, jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shapes)

        due = (k + 1) % probe.every == 0
        carried, found = jax.lax.cond(due, measured, skipped, state, batch)
        state, row = step(state._replace(probe=carried), batch)
        return state, row | found

    return counted
