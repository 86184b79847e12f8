"""What a second-order optimizer reads of a training step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Batch, Loss, Params
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.objective import MASK, Objective
from jaxopt_lab.engine.state import TrainState

COLLECTION = "batch_stats"
"""Of a model whose samples see each other in training."""

Draw = Callable[[jax.Array, jax.Array], jax.Array]

CurvatureOf = Callable[[TrainState, Batch], Any]


def make_curvature(
    forward: Forward,
    objective: Objective,
    create: Callable[..., Any],
    sample_label: Draw | None = None,
) -> CurvatureOf:
    """`(state, batch) -> curvature` of the mean loss at the state's parameters, for `make_step`.

    The model is in training mode, with the random numbers of this step and the model state before
    it; changes to that are dropped. Penalties are no part of it. Where samples have weights, the
    labels are pairs of the label and the weight.

    Args:
      forward: the model.
      objective: its loss.
      create: `(params, model_fn, output_loss, batch, key, sample_label=...) -> curvature`, such as
        `second_order.Curvature`.
      sample_label: `(key, outputs) -> labels` drawn from the model; None for that of `create`.

    Returns:
      The function; its batch is what the step has prepared. Where a method takes the samples one
      by one and the model normalizes over the batch, an InputError says so.
    """

    def curvature(state: TrainState, batch: Batch) -> Any:
        key = stream_key(state.key, Stream.MODEL, state.step)
        pairs = {name: batch[name] for name in ("x", "y")}
        loss, draw, weight = objective.loss, sample_label, _weights(objective, batch)
        if weight is not None:
            pairs["y"] = (batch["y"], weight)
            loss, draw = _weighing(loss), draw and _drawing(draw, weight)

        def model_fn(params: Params, batch: Batch) -> jax.Array:
            if COLLECTION in state.model_state and len(batch["x"]) < len(pairs["x"]):
                raise InputError(
                    "this optimizer takes each sample's own gradient, which a model with batch "
                    'normalization does not have: take norm = "group" or "layer" for the model'
                )
            return forward.train(params, state.model_state, batch["x"], key)[0]

        drawn = stream_key(state.key, Stream.OPTIMIZER, state.step)
        options = {} if draw is None else {"sample_label": draw}
        return create(state.params, model_fn, loss, pairs, drawn, **options)

    return curvature


def _weighing(loss: Loss) -> Callable[[jax.Array, Any], jax.Array]:
    """The loss of labels that are pairs of a label and its weight."""
    return lambda outputs, labels: labels[1] * loss(outputs, labels[0])


def _drawing(draw: Draw, weight: jax.Array) -> Callable[[jax.Array, jax.Array], Any]:
    """What draws such pairs: the root of a weight, because the Fisher is of products of slopes."""
    return lambda key, outputs: (draw(key, outputs), jnp.sqrt(weight))


def _weights(objective: Objective, batch: Batch) -> jax.Array | None:
    """Of the loss of each sample in a mean over the whole batch, (B,); None for 1."""
    own, mask = objective.weights(batch), batch.get(MASK)
    if mask is None:
        return own
    counted = mask * (len(mask) / mask.sum())
    return counted if own is None else counted * own
