"""How networks are trained for the figures: from a configuration, or in one compiled scan."""

# What NumPy returns is wider in its annotations than here.
# pyright: reportReturnType=false

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

import jaxopt_lab
from jaxopt_lab import data, optimizers, schedules


def train(config: str, *changes: str) -> jaxopt_lab.Result:
    """Train a configuration that ships, by its name, with `changes`, such as "train.epochs=5"."""
    return jaxopt_lab.train(jaxopt_lab.load_config(config, changes), progress=False)


def digits(count: int | None = None, *, test: bool = False) -> dict[str, np.ndarray]:
    """Images of digits, scaled to [0, 1], and their labels; the first `count` or all."""
    split = data.digits().test if test else data.digits().train
    return {"x": np.float32(split["x"][:count]) / 255, "y": split["y"][:count]}


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
