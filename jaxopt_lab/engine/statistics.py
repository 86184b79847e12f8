"""Batch statistics for parameters that were not trained with them, such as averages."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.engine.forward import Forward

COLLECTION = "batch_stats"


def reestimate_statistics(
    forward: Forward,
    params: Params,
    model_state: ModelState,
    inputs: Iterable[jax.Array],
    key: jax.Array,
) -> ModelState:
    """The model state with batch statistics that belong to `params`.

    Averaged parameters were never run in training, so their running statistics are nobody's. Each
    statistic becomes the plain mean over the batches given, as PyTorch's `update_bn` has it.

    A training pass moves a running statistic r to m r + (1 - m) b. From r = 0 it gives
    (1 - m) b, and from r = 1 it gives m more, so b follows without knowing m.

    Args:
      forward: the model.
      params: the parameters.
      model_state: the model's collections; returned as it is where it holds no "batch_stats".
      inputs: raw batches, of one shape; about the training split, or a part of it.
      key: for the dropout of the training passes.

    Returns:
      The model state with new statistics.

    Reference: Izmailov et al., 2018, https://arxiv.org/abs/1803.05407, section 3.2.
    """
    if COLLECTION not in model_state:
        return model_state

    @jax.jit
    def moved(start, x, key):
        statistics = jax.tree.map(lambda s: jnp.full_like(s, start), model_state[COLLECTION])
        state = {**model_state, COLLECTION: statistics}
        return forward.train(params, state, x, key)[1][COLLECTION]

    total, count, kept = None, 0, None
    for count, x in enumerate(inputs, start=1):
        batch_key = jax.random.fold_in(key, count)
        from_zero = moved(0.0, x, batch_key)
        if total is None:
            from_one = moved(1.0, x, batch_key)
            kept = jax.tree.map(jnp.subtract, from_one, from_zero)
        total = from_zero if total is None else jax.tree.map(jnp.add, total, from_zero)
    if total is None:
        return model_state
    mean = jax.tree.map(lambda s, m: s / count / (1 - m), total, kept)
    return model_state | {COLLECTION: mean}
