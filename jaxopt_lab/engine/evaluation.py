"""Means of losses and metrics over a whole split."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.metrics import ROBUST
from jaxopt_lab.core.rows import is_lazy, take_rows
from jaxopt_lab.core.types import Batch, Measure, ModelState, Params
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.step import Attack

Evaluate = Callable[[Params, ModelState, Batch], dict[str, Any]]


def in_batches(data: dict[str, np.ndarray], batch_size: int) -> dict[str, np.ndarray]:
    """The split as (batches, batch_size, ...), the last batch padded, with a `mask` of what counts.

    Args:
      data: arrays with the same leading axis N >= 1.
      batch_size: rows a batch, >= 1.

    Returns:
      The arrays and `mask`, (batches, batch_size) float32, 1 for a sample and 0 for padding. What
      is mapped from a file stays there.
    """
    n = len(data["y"])
    batches = -(-n // batch_size)
    rows = np.minimum(np.arange(batches * batch_size), n - 1)
    mask = (np.arange(batches * batch_size) < n).astype(np.float32)
    shaped = {k: take_rows(v, rows.reshape(batches, batch_size)) for k, v in data.items()}
    return shaped | {"mask": mask.reshape(batches, batch_size)}


def goes_in_loop(in_loop: bool, batches: dict[str, np.ndarray]) -> bool:
    """Whether batches of evaluation may be one dispatch: they are wanted so, and in memory."""
    return in_loop and not any(map(is_lazy, batches.values()))


def make_evaluate(
    forward: Forward,
    measures: Mapping[str, Measure],
    *,
    in_loop: bool = True,
    attack: Attack | None = None,
    attack_key: jax.Array | None = None,
) -> Evaluate:
    """`(params, model_state, batches) -> {name: mean}` over batches made by `in_batches`.

    Args:
      forward: the model.
      measures: `{name: (outputs, labels) -> (B,)}`; with an `attack` "loss" is one of them.
      in_loop: one compiled loop over the batches, pure; False for a host loop over a compiled
        batch, for data that does not fit on the device or a model that is slow inside a loop.
      attack: `(key, batch, loss_fn) -> batch`; each metric but the loss is measured on its images
        too, as `robust_` and its name.
      attack_key: of the attack's draws, the same at every evaluation.

    Returns:
      The function; its means are float32 scalars.
    """

    def sums(params, model_state, batch, number):
        def measured(x):
            outputs = forward.evaluate(params, model_state, x)
            return {name: measure(outputs, batch["y"]) for name, measure in measures.items()}

        values = measured(batch["x"])
        if attack is not None and attack_key is not None:
            key = jax.random.fold_in(attack_key, number)
            attacked = attack(key, batch, lambda x: measured(x)["loss"])["x"]
            values |= {f"{ROBUST}{k}": v for k, v in measured(attacked).items() if k != "loss"}
        # Where the mask is 0 the value is left out, whatever it is: NaN * 0 would stay NaN.
        mask = batch["mask"] > 0
        return {name: jnp.where(mask, v, 0).sum() for name, v in values.items()}

    def looped(params, model_state, batches):
        body = lambda _, item: (None, sums(params, model_state, *item))  # noqa: E731
        numbers = jnp.arange(len(batches["mask"]))
        _, rows = jax.lax.scan(body, None, (batches, numbers))
        count = batches["mask"].sum()
        return jax.tree.map(lambda v: v.sum() / count, rows)

    jitted_sums = jax.jit(sums)

    def dispatched(params, model_state, batches):
        rows = [
            jitted_sums(params, model_state, {k: v[i] for k, v in batches.items()}, i)
            for i in range(len(batches["mask"]))
        ]
        count = float(batches["mask"].sum())
        return {name: sum(row[name] for row in rows) / count for name in rows[0]}

    return jax.jit(looped) if in_loop else dispatched
