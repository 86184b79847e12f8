"""What a second-order optimizer reads of a training step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import cast_floating
from jaxopt_lab.core.types import Batch, Params
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.state import TrainState

CurvatureOf = Callable[[TrainState, Batch], Any]


def make_curvature(
    model: Any,
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    create: Callable[..., Any],
    *,
    normalize: Callable[[jax.Array], jax.Array] = lambda x: x,
    dtype: Any = jnp.float32,
) -> CurvatureOf:
    """`(state, batch) -> curvature` of the mean loss at the state's parameters, for `make_step`.

    The model is in training mode, with the random numbers of this step and the model state before
    it; changes to that are dropped. Penalties are no part of it.

    Args:
      model: with `apply(variables, x, train=..., rngs=..., mutable=...)`, such as a Linen module.
      loss: `(outputs, labels) -> (B,)`.
      create: `(params, model_fn, output_loss, batch, key) -> curvature`, such as
        `second_order.Curvature`.
      normalize: raw images to the model's input.
      dtype: of the computation.

    Returns:
      The function; its batch is what the step has augmented. Where a method takes the samples one
      by one and the model normalizes over the batch, an InputError says so.
    """

    def curvature(state: TrainState, batch: Batch) -> Any:
        key = stream_key(state.key, Stream.MODEL, state.step)
        own = {name: batch[name] for name in ("x", "y")}
        rngs = {"params": key, "dropout": jax.random.fold_in(key, 1)}

        def model_fn(params: Params, batch: Batch) -> jax.Array:
            if "batch_stats" in state.model_state and len(batch["x"]) < len(own["x"]):
                raise InputError(
                    "this optimizer takes each sample's own gradient, which a model with batch "
                    'normalization does not have: take norm = "group" or "layer" for the model'
                )
            outputs, _ = model.apply(
                {"params": cast_floating(params, dtype), **state.model_state},
                normalize(batch["x"]).astype(dtype),
                train=True,
                rngs=rngs,
                mutable=list(state.model_state),
            )
            return outputs

        drawn = stream_key(state.key, Stream.OPTIMIZER, state.step)
        return create(state.params, model_fn, loss, own, drawn)

    return curvature
