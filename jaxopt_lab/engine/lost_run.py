"""When a run was lost: its loss is not finite any more, and neither are its parameters."""

from typing import Any

import jax
import jax.numpy as jnp


def alive_and_step(
    finite: Any, step: Any, loss: Any, start: Any, count: Any
) -> tuple[jax.Array, jax.Array]:
    """Whether a run is not lost after a chunk of steps, and the step at which it stands.

    A bad batch may pass; parameters that are not finite stay so. A lost run stands at the first of
    the steps since which its loss has not been finite, wherever the chunk ends: that follows the
    clock.

    Args:
      finite: whether its parameters are, after the chunk; a bool scalar.
      step: at which its state is.
      loss: of its steps, (count,) or longer.
      start, count: the step before the first of them, and how many there are.

    Returns:
      A bool and an int32 scalar.
    """
    count = jnp.minimum(count, step - start)  # of a run that has stopped the rest is nothing
    place = jnp.arange(len(loss))
    # Steps up to the last of a finite loss.
    good = jnp.where(jnp.isfinite(loss) & (place < count), place + 1, 0).max()
    alive = (good == count) | finite
    return alive, jnp.where(alive, step, start + good + 1)
