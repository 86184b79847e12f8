"""The order in which a model uses its parameters."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Jaxpr, Literal, Var

from jaxopt_lab.core.programs import programs_in
from jaxopt_lab.core.tree import path_name

# A parameter that only passes through these is not used yet.
_PASSING = frozenset(
    ("convert_element_type", "reshape", "transpose", "squeeze", "broadcast_in_dim", "copy",
     "stop_gradient", "sharding_constraint", "name", "reduce_precision", "optimization_barrier")
)  # fmt: skip


def first_use(function: Callable[..., Any], params: Any, *args: Any) -> list[str]:
    """The paths of parameters in the order in which a function first uses them.

    Casts and changes of shape alone are no use. What is never used comes last.

    Args:
      function: `(params, *args) -> anything`, such as a forward pass; it is traced, not run.
      params: a pytree of arrays or `ShapeDtypeStruct`s.
      args: the same.

    Returns:
      The paths, "Dense_0/kernel" for one.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    names = [path_name(path) for path, _ in leaves]
    closed = jax.make_jaxpr(function)(params, *args)
    order: dict[str, None] = {}
    held = dict(zip(closed.jaxpr.invars, names, strict=False))  # the parameters come first
    _walk(closed.jaxpr, held, order)
    return list(order | dict.fromkeys(names))


def _walk(jaxpr: Jaxpr, held: dict[Var, str], order: dict[str, None]) -> None:
    """Follow the variables that hold a parameter through the equations."""
    for equation in jaxpr.eqns:
        inputs = [None if isinstance(v, Literal) else held.get(v) for v in equation.invars]
        if not any(inputs):
            continue
        inner = programs_in([*equation.params.values()])
        if equation.primitive.name in _PASSING:
            (passed, *_) = filter(None, inputs)
            held |= dict.fromkeys(equation.outvars, passed)
        elif inner:
            for body in inner:
                # Of a loop and a branch what they are about comes before their operands.
                own = (
                    body.invars[-len(inputs) :] if len(body.invars) <= len(inputs) else body.invars
                )
                given = inputs[-len(own) :]
                known = {v: n for v, n in zip(own, given, strict=True) if n}
                _walk(body, known, order)
                passed = zip(equation.outvars, body.outvars, strict=False)
                held |= {
                    out: known[v] for out, v in passed if not isinstance(v, Literal) and v in known
                }
        else:
            order |= dict.fromkeys(name for name in inputs if name)
