"""Costly work in some steps only, under `vmap` too."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import core, lax
from jax.custom_batching import custom_vmap


def periodically(due: jax.Array, compute: Callable[[], Any], otherwise: Any) -> Any:
    """`compute()` where `due`, else `otherwise`, of the same structure, shapes and dtypes.

    A plain `lax.cond` whose predicate is vmapped runs both branches at every step. Here a vmapped
    predicate is reduced by `any`: lanes that count in step with each other, as those of a sweep
    do, run `compute` only when it is due. A lane that is not due keeps its `otherwise`.

    Args:
      due: bool scalar, possibly traced and vmapped.
      compute: may read any array around it, vmapped ones too.
      otherwise: a pytree of arrays.
    """
    # As a program whose inputs are explicit, because the rule for vmap must know which of them are
    # vmapped.
    program, shape = jax.make_jaxpr(compute, return_shape=True)()
    old, structure = jax.tree.flatten(otherwise)
    if jax.tree.structure(shape) != structure:
        raise TypeError(f"compute gives {jax.tree.structure(shape)}, not {structure}")

    def run(inputs):
        return core.eval_jaxpr(program.jaxpr, inputs)

    return jax.tree.unflatten(structure, _where_due(run, due, old, program.consts))


def _where_due(run, due, old, inputs):
    @custom_vmap
    def choose(due, old, inputs):
        return lax.cond(due, lambda: list(run(inputs)), lambda: list(old))

    @choose.def_vmap
    def _(axis_size, batched, due, old, inputs):
        def lane(due, old, inputs):
            return [jnp.where(due, a, b) for a, b in zip(run(inputs), old, strict=True)]

        axes = jax.tree.map(lambda b: 0 if b else None, tuple(batched))
        lanes = jax.vmap(lane, in_axes=axes, axis_size=axis_size)
        whole = [
            a if b else jnp.broadcast_to(a, (axis_size, *a.shape))
            for a, b in zip(old, batched[1], strict=True)
        ]
        some = due.any() if batched[0] else due
        # Through the same rule again, for a vmap around this one.
        new = _where_due(lambda operands: lanes(*operands), some, whole, (due, old, inputs))
        return new, [True] * len(old)

    return choose(due, list(old), inputs)
