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


def nothing_measured(
    probe: Probe, state: TrainState, batch: Batch, shape: tuple[int, ...] = ()
) -> dict[str, jax.Array]:
    """NaN under each name that the probe measures, of this shape."""
    names = jax.eval_shape(probe.measure, state, batch)[1]
    return {name: jnp.full(shape, jnp.nan, float) for name in names}


def with_probe(step: Step, probe: Probe | None) -> CountedStep:
    """`(state, batch, k) -> (state, row)`, of step k, for steps that are dispatched one by one.

    The row of a step that does not measure has NaN. A loop over steps measures between them, see
    `make_run_steps`, because a branch in every step costs a tenth of a small one.
    """
    if probe is None:
        return lambda state, batch, k: step(state, batch)

    def measured(state: TrainState, batch: Batch):
        carried, row = probe.measure(state, batch)
        return carried, jax.tree.map(lambda v: jnp.asarray(v, float), row)

    def counted(state: TrainState, batch: Batch, k: jax.Array):
        def skipped(state, batch):
            return state.probe, nothing_measured(probe, state, batch)

        due = (k + 1) % probe.every == 0
        carried, found = jax.lax.cond(due, measured, skipped, state, batch)
        state, row = step(state._replace(probe=carried), batch)
        return state, row | found

    return counted
