"""Means of losses and metrics over a whole split."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.tree import cast_floating
from jaxopt_lab.core.types import Batch, Params
from jaxopt_lab.engine.step import Attack

Evaluate = Callable[[Params, dict[str, Any], Batch], Any]


def in_batches(data: dict[str, np.ndarray], batch_size: int) -> dict[str, np.ndarray]:
    """The split as (batches, batch_size, ...), the last batch padded, with a `mask` of what counts.

    Args:
      data: arrays with the same leading axis N >= 1.
      batch_size: rows a batch, >= 1.

    Returns:
      The arrays and `mask`, (batches, batch_size) float32, 1 for a sample and 0 for padding.
    """
    n = len(data["y"])
    batches = -(-n // batch_size)
    rows = np.minimum(np.arange(batches * batch_size), n - 1)
    mask = (np.arange(batches * batch_size) < n).astype(np.float32)
    shaped = {k: v[rows].reshape(batches, batch_size, *v.shape[1:]) for k, v in data.items()}
    return shaped | {"mask": mask.reshape(batches, batch_size)}


def make_evaluate(
    model: Any,
    metrics: dict[str, Callable[[jax.Array, jax.Array], jax.Array]],
    *,
    normalize: Callable[[jax.Array], jax.Array] = lambda x: x,
    dtype: Any = jnp.float32,
    in_loop: bool = True,
    attack: Attack | None = None,
    attack_key: jax.Array | None = None,
) -> Evaluate:
    """`(params, model_state, batches) -> {name: mean}` over batches made by `in_batches`.

    Args:
      model: with `apply(variables, x, train=False)`.
      metrics: `{name: (outputs, labels) -> (B,)}`; with an `attack` "loss" is one of them.
      normalize: raw images to the model's input.
      dtype: of the computation.
      in_loop: one compiled loop over the batches, pure; False for a host loop over a compiled
        batch, for data that does not fit on the device or a model that is slow inside a loop.
      attack: `(key, batch, loss_fn) -> batch`; each metric but the loss is measured on its images
        too, as `robust_` and its name.
      attack_key: of the attack's draws, the same at every evaluation.

    Returns:
      The function; its means are float32 scalars.
    """

    def measured(variables, image, batch):
        outputs = model.apply(variables, normalize(image).astype(dtype), train=False)
        return {name: f(outputs, batch["y"]) for name, f in metrics.items()}

    def sums(params, model_state, batch, number):
        variables = {"params": cast_floating(params, dtype), **model_state}
        values = measured(variables, batch["x"], batch)
        if attack is not None and attack_key is not None:
            loss_fn = lambda image: measured(variables, image, batch)["loss"]  # noqa: E731
            attacked = attack(jax.random.fold_in(attack_key, number), batch, loss_fn)["x"]
            robust = measured(variables, attacked, batch)
            values |= {f"robust_{name}": v for name, v in robust.items() if name != "loss"}
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
