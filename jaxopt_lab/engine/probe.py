"""What is measured every so many steps beside training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.state import TrainState


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
