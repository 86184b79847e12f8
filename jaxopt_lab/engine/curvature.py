"""What a second-order optimizer reads of a training step."""

from collections.abc import Callable
from typing import Any

import jax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Batch, Loss, Params
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.state import TrainState

COLLECTION = "batch_stats"
"""Of a model whose samples see each other in training."""

CurvatureOf = Callable[[TrainState, Batch], Any]


def make_curvature(forward: Forward, loss: Loss, create: Callable[..., Any]) -> CurvatureOf:
    """`(state, batch) -> curvature` of the mean loss at the state's parameters, for `make_step`.

    The model is in training mode, with the random numbers of this step and the model state before
    it; changes to that are dropped. Penalties are no part of it.

    Args:
      forward: the model.
      loss: `(outputs, labels) -> (B,)`.
      create: `(params, model_fn, output_loss, batch, key) -> curvature`, such as
        `second_order.Curvature`.

    Returns:
      The function; its batch is what the step has prepared. Where a method takes the samples one
      by one and the model normalizes over the batch, an InputError says so.
    """

    def curvature(state: TrainState, batch: Batch) -> Any:
        key = stream_key(state.key, Stream.MODEL, state.step)
        pairs = {name: batch[name] for name in ("x", "y")}

        def model_fn(params: Params, batch: Batch) -> jax.Array:
            if COLLECTION in state.model_state and len(batch["x"]) < len(pairs["x"]):
                raise InputError(
                    "this optimizer takes each sample's own gradient, which a model with batch "
                    'normalization does not have: take norm = "group" or "layer" for the model'
                )
            return forward.train(params, state.model_state, batch["x"], key)[0]

        drawn = stream_key(state.key, Stream.OPTIMIZER, state.step)
        return create(state.params, model_fn, loss, pairs, drawn)

    return curvature
