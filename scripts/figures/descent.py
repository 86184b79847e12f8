"""The training loop of the figures: full batch, one compiled scan."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from jaxopt_lab import optimizers, schedules


def descend(
    loss: Callable[[Any, jax.Array], jax.Array],
    params: Any,
    key: jax.Array,
    *,
    steps: int,
    rate: float = 0.01,
) -> Any:
    """The parameters after Adam, whose rate decays to 0 by a cosine.

    Args:
      loss: `loss(params, key) -> scalar`, a new key each step.
      params: where it starts.
      key: for the steps.
      steps: how many.
      rate: the first learning rate.
    """
    tx = optimizers.adam(schedules.cosine_decay(steps, peak=rate))

    def step(carry, key):
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params, key), state, params)
        return (optax.apply_updates(params, updates), state), None

    carry = params, tx.init(params)
    return jax.lax.scan(step, carry, jax.random.split(key, steps))[0][0]
