"""Many steps in one dispatch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.batches import Batches
from jaxopt_lab.engine.probe import Probe, nothing_measured
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.step import Step

Rows = dict[str, jax.Array]
RunSteps = Callable[[TrainState, Batch, jax.Array, jax.Array], tuple[TrainState, Rows]]


def make_run_steps(
    step: Step,
    batches: Batches,
    capacity: int,
    *,
    probe: Probe | None = None,
) -> RunSteps:
    """A chunk of steps as one loop: `(state, data, start, count) -> (state, rows)`.

    `start` and `count` are arguments and not read from the state, so that under `vmap` they stay
    scalars and the loop is one loop for all lanes. One compilation serves every length.

    Args:
      step: from `make_step`.
      batches: how they are drawn.
      capacity: the largest count.
      probe: what else is measured, every so many steps.

    Returns:
      A pure function of a state, the training split on the device (arrays of one leading axis),
      the state's step as an integer and the number of steps to take. Its rows are the metrics,
      (capacity,) each, of which the first `count` are filled.
    """

    def run_steps(state, data, start, count):
        examples = len(data["y"])
        steps_per_epoch = batches.steps(examples)
        batch = batches.shapes(data)
        shapes = jax.eval_shape(step, state, batch, start)[1]
        rows = jax.tree.map(lambda s: jnp.zeros((capacity, *s.shape), s.dtype), shapes)
        if probe is not None:
            rows |= nothing_measured(probe, state, batch, (capacity,))
        key, end = state.key, start + count

        def epoch(e, carry):
            order = batches.order(key, e, examples)

            def body(k, carry):
                state, rows = carry
                state, row = step(state, batches.take(data, order, k), k)
                return state, rows | {
                    name: rows[name].at[k - start].set(v) for name, v in row.items()
                }

            def measured(k, carry):
                assert probe is not None
                state, rows = carry
                carried, row = probe.measure(state, batches.take(data, order, k))
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
