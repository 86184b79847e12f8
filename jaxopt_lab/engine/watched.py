"""What evaluations look at as a run trains: its parameters, or an average of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.rows import take_rows
from jaxopt_lab.core.tree import is_trained
from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.engine.experiment import Experiment
from jaxopt_lab.engine.finishing import statistics_batches
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.statistics import make_reestimate


def needs_statistics(experiment: Experiment, model_state: ModelState) -> bool:
    """Whether what is watched has no batch statistics of its own, and the model has some."""
    return experiment.watches is not None and any(map(is_trained, jax.tree.leaves(model_state)))


def make_statistics(
    experiment: Experiment, state: TrainState
) -> tuple[Callable[[Params, Any], ModelState], jax.Array]:
    """The batch statistics of what is watched, as a pure function, and the batches to give to it.

    Args:
      experiment: of the run.
      state: of one run, to tell which of the model's numbers are running averages.

    Returns:
      `(params, inputs) -> model_state`, and the raw inputs, (batches, B, ...).
    """
    x, size = experiment.train["x"], experiment.batch_size
    count = statistics_batches(experiment)
    inputs = jnp.asarray(take_rows(x, slice(count * size))).reshape(count, size, *x.shape[1:])
    key = stream_key(state.key, Stream.MODEL, state.step)
    forward, before = experiment.forward, state.model_state
    reestimate = make_reestimate(forward, state.params, before, inputs[0], key)
    return lambda params, inputs: experiment.frozen.held(before, reestimate(params, inputs)), inputs
