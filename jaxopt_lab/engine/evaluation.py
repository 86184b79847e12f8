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
        batch, for data that does not fit on the device or a model that is slow inside a loop.
      attack: `(key, batch, loss_fn) -> batch`; each metric but the loss is measured on its images
        too, as `robust_` and its name.
      attack_key: of the attack's draws, the same at every evaluation.

    Returns:
      The function; its means are float32 scalars.
    """
    of_all = whole or {}

    def sums(params, model_state, batch, number):
        """`Objective.sums` of a batch, and the outputs if they are needed."""

        def measured(x):
            outputs = forward.evaluate(params, model_state, x)
            return outputs, objective.sums(outputs, batch)

        outputs, total = measured(batch["x"])
        kept = {"": outputs}
        if attack is not None and attack_key is not None:

            def loss_fn(x):
                return objective.loss(forward.evaluate(params, model_state, x), batch["y"])

            key = jax.random.fold_in(attack_key, number)
            kept[ROBUST], found = measured(attack(key, batch, loss_fn)["x"])
            total |= {ROBUST + name: value for name, value in found.items() if name != "loss"}
        return total, kept if of_all else {}

    def means(rows, batches):
        """Of what `sums` gave, batch by batch on a leading axis."""
        total, kept = rows
        found = {name: value.sum() / weight.sum() for name, (value, weight) in total.items()}
        flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in batches.items() if k != "x"}
        for prefix, outputs in kept.items():
            outputs = outputs.reshape(-1, *outputs.shape[2:])
            given = (outputs, flat["y"], counted(flat))
            found |= {prefix + name: measure(*given) for name, measure in of_all.items()}
        return found

    def looped(params, model_state, batches):
        body = lambda _, item: (None, sums(params, model_state, *item))  # noqa: E731
        numbers = jnp.arange(len(batches[MASK]))
        return means(jax.lax.scan(body, None, (batches, numbers))[1], batches)

    jitted_sums, jitted_means = jax.jit(sums), jax.jit(means)

    def dispatched(params, model_state, batches):
        numbers = range(len(batches[MASK]))
        read = [in_turn(values, numbers) for values in batches.values()]
        rows = [
            jitted_sums(params, model_state, dict(zip(batches, batch, strict=True)), i)
            for i, batch in enumerate(zip(*read, strict=True))
        ]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)
        return jitted_means(stacked, {k: v for k, v in batches.items() if k != "x"})

    return jax.jit(looped) if in_loop else dispatched
