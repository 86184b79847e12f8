"""Many steps in one dispatch, and the order in which a run sees its data.

Batches are a function of (key, step) alone: epoch e shuffles with its own key, and step k takes the
k-th slice of that order. So the data's place in a run is one integer, and a chunk of steps may
begin and end anywhere.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.keys import Stream, stream_key
from jaxopt_lab.engine.permutation import permutation
from jaxopt_lab.engine.probe import Probe, nothing_measured
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.step import Step

Rows = dict[str, jax.Array]
RunSteps = Callable[[TrainState, Batch, jax.Array, jax.Array], tuple[TrainState, Rows]]


def epoch_order(
    key: jax.Array, epoch: jax.Array, examples: int, batch_size: int, *, bootstrap: bool = False
) -> jax.Array | None:
    """The order of the training split in an epoch, (examples,) int32.

    A permutation; where a batch is the whole split None, for the split as it is. With `bootstrap`
    it is of the run's resample, which is drawn with replacement and the same in every epoch.
    """
    full = batch_size == examples
    order = None if full else permutation(stream_key(key, Stream.ORDER, epoch), examples)
    if not bootstrap:
        return order
    resample = jax.random.randint(stream_key(key, Stream.BOOTSTRAP), (examples,), 0, examples)
    return resample if order is None else resample[order]


def take_batch(data: Batch, order: jax.Array | None, step: jax.Array, batch_size: int) -> Batch:
    """The rows of `data` that a step of this epoch's order sees.

    What is left of an epoch after its last full batch is not seen in that epoch; the next order
    is another.
    """
    if order is None:
        return data
    first = (step % (len(order) // batch_size)) * batch_size
    rows = jax.lax.dynamic_slice_in_dim(order, first, batch_size)
    return {name: jnp.take(array, rows, axis=0, mode="clip") for name, array in data.items()}


def batch_shapes(data: dict[str, Any], batch_size: int) -> dict[str, Any]:
    """What a batch of a split is, as `jax.ShapeDtypeStruct`s."""
    return {k: jax.ShapeDtypeStruct((batch_size, *v.shape[1:]), v.dtype) for k, v in data.items()}


def make_run_steps(
    step: Step,
    batch_size: int,
    capacity: int,
    *,
    bootstrap: bool = False,
    probe: Probe | None = None,
) -> RunSteps:
    """A chunk of steps as one loop: `(state, data, start, count) -> (state, rows)`.

    `start` and `count` are arguments and not read from the state, so that under `vmap` they stay
    scalars and the loop is one loop for all lanes. One compilation serves every length.

    Args:
      step: from `make_step`.
      batch_size: rows a batch; the whole split, in its own order, where it is the split's size.
      capacity: the largest count.
      bootstrap: whether the run trains on its own resample of the split.
      probe: what else is measured, every so many steps.

    Returns:
      A pure function of a state, the training split on the device (arrays of one leading axis),
      the state's step as an integer and the number of steps to take. Its rows are the metrics,
      (capacity,) each, of which the first `count` are filled.
    """

    def run_steps(state, data, start, count):
        examples = len(data["y"])
        steps_per_epoch = examples // batch_size
        batch = batch_shapes(data, batch_size)
        shapes = jax.eval_shape(step, state, batch)[1]
        rows = jax.tree.map(lambda s: jnp.zeros((capacity, *s.shape), s.dtype), shapes)
        if probe is not None:
            rows |= nothing_measured(probe, state, batch, (capacity,))
        key, end = state.key, start + count

        def epoch(e, carry):
            order = epoch_order(key, e, examples, batch_size, bootstrap=bootstrap)

            def body(k, carry):
                state, rows = carry
                state, row = step(state, take_batch(data, order, k, batch_size))
                return state, rows | {
                    name: rows[name].at[k - start].set(v) for name, v in row.items()
                }

            def measured(k, carry):
                assert probe is not None
                state, rows = carry
                carried, row = probe.measure(state, take_batch(data, order, k, batch_size))
                rows = rows | {name: rows[name].at[k - start].set(v) for name, v in row.items()}
                return state._replace(probe=carried), rows

            first = jnp.maximum(start, e * steps_per_epoch)
            last = jnp.minimum(end, (e + 1) * steps_per_epoch)
            if probe is None:
                return jax.lax.fori_loop(first, last, body, carry)
            # From one measurement to the next, so that the steps between have no branch.
            every = probe.every
            later = (first + 1) // every + 1  # the first measurement after `first`, counted from 1

            def stretch(i, carry):
                begin = jnp.where(i == 0, first, (later + i - 1) * every - 1)
                due = ((begin + 1) % every == 0) & (begin < last)
                carry = jax.lax.cond(due, measured, lambda k, carry: carry, begin, carry)
                return jax.lax.fori_loop(
                    begin, jnp.minimum(last, (later + i) * every - 1), body, carry
                )

            stretches = 1 + jnp.maximum(0, last // every - later + 1)
            return jax.lax.fori_loop(0, stretches, stretch, carry)

        first_epoch = start // steps_per_epoch
        end_epoch = -(-end // steps_per_epoch)
        return jax.lax.fori_loop(first_epoch, end_epoch, epoch, (state, rows))

    return run_steps
