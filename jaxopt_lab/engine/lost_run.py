"""When a run was lost: its loss is not finite any more, and neither are its parameters."""

import jax
import jax.numpy as jnp

from jaxopt_lab.core.tree import all_finite
from jaxopt_lab.engine.state import TrainState


def alive_and_step(
    state: TrainState, loss: jax.Array, start: jax.Array, count: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Whether a run is not lost after a chunk of steps, and the step at which it stands.

    A bad batch may pass; parameters that are not finite stay so. A lost run stands at the first of
    the steps since which its loss has not been finite, wherever the chunk ends: that follows the
    clock.

    Args:
      state: after the chunk.
      loss: of its steps, (count,) or longer.
      start, count: the step before the first of them, and how many there are.

    Returns:
      A bool and an int32 scalar.
    """
    count = jnp.minimum(count, state.step - start)  # of a run that has stopped the rest is nothing
    place = jnp.arange(len(loss))
    finite = jnp.isfinite(loss) & (place < count)
    good = jnp.where(finite, place + 1, 0).max()  # steps up to the last of a finite loss
    alive = (good == count) | all_finite(state.params)
    return alive, jnp.where(alive, state.step, start + good + 1)
