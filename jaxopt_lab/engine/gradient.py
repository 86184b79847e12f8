"""The gradient of a batch's objective, whole or in parts."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import Batch, ModelState, Params
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.frozen import NOTHING, Frozen
from jaxopt_lab.engine.objective import MASK, Objective, counted, sum_counted

Row = dict[str, jax.Array]
Gradient = Callable[
    [Params, ModelState, Batch, jax.Array], tuple[tuple[jax.Array, tuple[Row, ModelState]], Params]
]
"""`(params, model_state, batch, key) -> ((value, (row, model_state)), gradient)`."""


def make_gradient(
    forward: Forward,
    objective: Objective,
    microbatches: int = 1,
    frozen: Frozen = NOTHING,
) -> Gradient:
    """The value and the gradient of the objective on a batch.

    Args:
      forward: the model.
      objective: what is minimized; the value is the sum of its terms.
      microbatches: in how many parts a batch goes through the model, one after another, so that its
        activations take a part of the memory. The gradient is that of the batch: sums over the
        parts, of which the last may be smaller, over the count of the whole. Batch statistics and
        dropout are of each part.
      frozen: what stays as it is: its gradient is 0, and its statistics are those given.

    Returns:
      The function; `row` has the terms of the objective and its measures.
    """
    if microbatches == 1:
        return _whole(forward, objective, frozen)
    return _parts(forward, objective, frozen, microbatches)


def _whole(forward: Forward, objective: Objective, frozen: Frozen) -> Gradient:
    def total(params, state, batch, key):
        params = frozen.stopped(params)
        outputs, after = forward.train(params, state, batch["x"], key)
        row = objective.terms(outputs, batch)
        if objective.penalty is not None:
            row["penalty"] = objective.penalty(params)
        # Measures are no part of what is differentiated.
        measured = objective.measured(jax.lax.stop_gradient(outputs), batch)
        return sum(row.values()), (row | measured, frozen.held(state, after))

    return jax.value_and_grad(total, has_aux=True)


def _parts(forward: Forward, objective: Objective, frozen: Frozen, microbatches: int) -> Gradient:
    def gradient(params, state, batch, key):
        parts, count = _split(batch, microbatches)
        weight = sum_counted(jnp.ones(()), counted(parts))

        def of_part(params, state, part, key):
            outputs, after = forward.train(frozen.stopped(params), state, part["x"], key)
            row = objective.terms(outputs, part, count)
            values = objective.values(jax.lax.stop_gradient(outputs), part)
            share = {k: sum_counted(v, counted(part)) / weight for k, v in values.items()}
            return sum(row.values()), (row | share, frozen.held(state, after))

        slope = jax.value_and_grad(of_part, has_aux=True)

        def add(carry, given):
            state, total = carry
            part, i = given
            (value, (row, state)), grads = slope(params, state, part, jax.random.fold_in(key, i))
            return (state, jax.tree.map(jnp.add, total, (value, row, grads))), None

        first = jax.tree.map(lambda x: x[0], parts)
        shapes = jax.eval_shape(lambda p: slope(params, state, p, key), first)
        (value, (row, _)), grads = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        carry = (state, (value, row, grads))
        (state, (value, row, grads)), _ = jax.lax.scan(
            add, carry, (parts, jnp.arange(microbatches))
        )
        if (penalized := objective.penalty) is not None:
            penalty = lambda params: penalized(frozen.stopped(params))  # noqa: E731
            row["penalty"], of_penalty = jax.value_and_grad(penalty)(params)
            value = value + row["penalty"]
            grads = jax.tree.map(lambda g, p: g + p.astype(g.dtype), grads, of_penalty)
        return (value, (row, state)), grads

    return gradient


def passes(
    forward: Forward,
    params: Params,
    state: ModelState,
    batch: Batch,
    key: jax.Array,
    microbatches: int = 1,
) -> Iterator[jax.Array]:
    """The outputs of the forward passes that a gradient takes of a batch, one after another.

    With more than one they are of its parts, in order; args as of `make_gradient`.
    """
    if microbatches == 1:
        yield forward.train(params, state, batch["x"], key)[0]
        return
    parts, _ = _split(batch, microbatches)
    for i in range(microbatches):
        x = parts["x"][i]
        outputs, state = forward.train(params, state, x, jax.random.fold_in(key, i))
        yield outputs


def _split(batch: Batch, microbatches: int) -> tuple[Any, jax.Array]:
    """The batch in parts, a leading axis of them, the last padded; and how many samples count."""
    rows = len(batch["y"])
    mask = batch.get(MASK, jnp.ones(rows))
    size = -(-rows // microbatches)
    padding = size * microbatches - rows

    def split(x):
        """Of V views (V B, ...) each part has its own rows of all."""
        views = x.reshape(-1, rows, *x.shape[1:])
        last = jnp.repeat(views[:, -1:], padding, axis=1)
        parts = jnp.concatenate([views, last], 1).reshape(
            len(views), microbatches, size, *x.shape[1:]
        )
        return jnp.moveaxis(parts, 1, 0).reshape(microbatches, -1, *x.shape[1:])

    parts = jax.tree.map(split, batch | {MASK: mask})
    held = (jnp.arange(size * microbatches) < rows).reshape(microbatches, size)
    parts[MASK] = jnp.where(held, parts[MASK], 0)
    return parts, mask.sum()
