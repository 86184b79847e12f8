"""What a training step carries to the next."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Metric, ModelState, Optimizer, Params
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.keys import Stream, stream_key


class TrainState(NamedTuple):
    """A run between two steps: all of it, so that a saved one continues as if never stopped.

    Attributes:
      step: steps taken, int32 scalar.
      key: the run's PRNG key; constant, see `keys`.
      params: the trained pytree.
      model_state: the model's other collections, such as batch statistics.
      opt_state: the optimizer's state.
      evaluation: the last evaluation's metrics; `ready` until the next step has seen them.
      probe: what a `Probe` carries from one measurement to the next; None without one.
    """

    step: jax.Array
    key: jax.Array
    params: Params
    model_state: ModelState
    opt_state: Any
    evaluation: dict[str, Metric]
    probe: Any = None


def init_state(
    key: jax.Array,
    forward: Forward,
    optimizer: Optimizer,
    x: jax.Array,
    *,
    evaluation: Sequence[str] = (),
    adjust: Callable[[Any, jax.Array], Any] | None = None,
) -> TrainState:
    """A run's first state; pure, so it runs under `jit` and `vmap` over keys.

    Args:
      key: the run's PRNG key.
      forward: the model.
      optimizer: an optax transformation.
      x: a batch of normalized inputs, of any size; only its shape and dtype matter to most models.
      evaluation: names of the metrics that `with_evaluation` will give, such as "val_loss".
      adjust: `(variables, key) -> variables`, applied to what the model's `init` gave.

    Returns:
      A `TrainState` at step 0.

    Raises:
      InputError: where the model has no parameters.
    """
    init_key = stream_key(key, Stream.INIT)
    params, model_state = forward.init(init_key, x)
    if adjust is not None:
        variables = {"params": params, **model_state}
        model_state = dict(adjust(variables, jax.random.fold_in(init_key, 1)))
        params = model_state.pop("params")
    if not jax.tree.leaves(params):
        name = type(forward.model).__name__
        raise InputError(f"{name} has no parameters: there is nothing to train")
    return TrainState(
        step=jnp.zeros([], jnp.int32),
        key=key,
        params=params,
        model_state=model_state,
        opt_state=optimizer.init(params),
        evaluation={k: Metric(jnp.array(jnp.nan, float), jnp.array(False)) for k in evaluation},
    )


def with_evaluation(state: TrainState, metrics: dict[str, jax.Array]) -> TrainState:
    """The state with new metrics, which belong to its params, for the next step to see."""
    return state._replace(evaluation={**state.evaluation, **_ready(metrics)})


@jax.jit  # one dispatch, where each array made by itself takes as long as a step of a small network
def _ready(metrics: dict[str, jax.Array]) -> dict[str, Metric]:
    return {k: Metric(jnp.asarray(v, float), jnp.array(True)) for k, v in metrics.items()}
