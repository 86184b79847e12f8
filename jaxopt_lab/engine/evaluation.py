"""Means of losses and metrics over a whole split."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.core.metrics import ROBUST
from jaxopt_lab.core.rows import in_turn, take_rows
from jaxopt_lab.core.types import Batch, ModelState, Params, Whole
from jaxopt_lab.engine.compiled_steps import fits_on_device
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.objective import MASK, Objective, counted
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
    return shaped | {MASK: mask.reshape(batches, batch_size)}


def goes_in_loop(in_loop: bool, batches: dict[str, np.ndarray]) -> bool:
    """Whether batches of evaluation may be one dispatch: they are wanted so, and fit there."""
    return in_loop and fits_on_device(batches)


def make_evaluate(
    forward: Forward,
    objective: Objective,
    *,
    whole: Mapping[str, Whole] | None = None,
    in_loop: bool = True,
    attack: Attack | None = None,
    attack_key: jax.Array | None = None,
) -> Evaluate:
    """`(params, model_state, batches) -> {name: mean}` over batches made by `in_batches`.

    Args:
      forward: the model.
      objective: its loss, over the sum of the weights of the split, and its measures.
      whole: metrics of all samples at once; their outputs are held until the last is there.
      in_loop: one compiled loop over the batches, pure; False for a host loop over a compiled
        batch, for data that does not fit on the device, for a model that is slow inside a loop, or
        for outputs that are those of `jax.jit(forward.evaluate)` to the bit.
      attack: `(key, batch, loss_fn) -> batch`; each metric but the loss is measured on its images
        too, as `robust_` and its name.
      attack_key: of the attack's draws, the same at every evaluation.

    Returns:
      The function; its means are float32 scalars.
    """
    of_all = whole or {}

    def attacked(params, model_state, batch, number):
        """The batch with the attack's images in the place of its own."""
        assert attack is not None and attack_key is not None

        def loss_fn(x):
            return objective.loss(forward.evaluate(params, model_state, x), batch["y"])

        return attack(jax.random.fold_in(attack_key, number), batch, loss_fn)

    def robust(outputs, batch):
        sums = objective.sums(outputs, batch)
        return {ROBUST + name: value for name, value in sums.items() if name != "loss"}

    def measured(evaluate, attacked, sums, robust):
        """`(params, model_state, batch, number) -> (sums, outputs)` made of these functions."""

        def of_batch(params, model_state, batch, number):
            beside = {k: v for k, v in batch.items() if k != "x"}
            kept = {"": evaluate(params, model_state, batch["x"])}
            total = sums(kept[""], beside)
            if attack is not None:
                x = attacked(params, model_state, batch, number)["x"]
                kept[ROBUST] = evaluate(params, model_state, x)
                total |= robust(kept[ROBUST], beside)
            return total, kept if of_all else {}

        return of_batch

    def means(rows, batches):
        """Of sums and outputs, batch by batch on a leading axis."""
        total, kept = rows
        found = {name: value.sum() / weight.sum() for name, (value, weight) in total.items()}
        flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in batches.items() if k != "x"}
        for prefix, outputs in kept.items():
            outputs = outputs.reshape(-1, *outputs.shape[2:])
            given = (outputs, flat["y"], counted(flat))
            found |= {prefix + name: measure(*given) for name, measure in of_all.items()}
        return found

    functions = (forward.evaluate, attacked, objective.sums, robust)

    def looped(params, model_state, batches):
        of_batch = measured(*functions)
        body = lambda _, item: (None, of_batch(params, model_state, *item))  # noqa: E731
        numbers = jnp.arange(len(batches[MASK]))
        return means(jax.lax.scan(body, None, (batches, numbers))[1], batches)

    if in_loop:
        return jax.jit(looped)
    # The model alone is one program: what is fused with it could change its last bits.
    of_batch, jitted_means = measured(*map(jax.jit, functions)), jax.jit(means)

    def dispatched(params, model_state, batches):
        numbers = range(len(batches[MASK]))
        read = [in_turn(values, numbers) for values in batches.values()]
        rows = [
            of_batch(params, model_state, dict(zip(batches, batch, strict=True)), i)
            for i, batch in enumerate(zip(*read, strict=True))
        ]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)
        return jitted_means(stacked, {k: v for k, v in batches.items() if k != "x"})

    return dispatched
