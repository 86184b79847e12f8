"""What is evaluated around the parameters, and how at many places."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.types import Params

Objective = Callable[[Any], Any]
"""`params -> scalar`, or a dict of scalars; of what `prepare` makes of them where it is given."""

Prepare = Callable[[Params], Any] | None
"""`params -> what the objective takes`, such as the parameters and batch statistics of them."""


def values_at(
    method: str,
    objective: Objective,
    place: Callable[[jax.Array], Params],
    coordinates: jax.Array,
    prepare: Prepare,
    batch_size: int | None,
) -> Any:
    """The objective at every place, (N,) each: one loop, of `batch_size` places side by side."""

    def of_one(coordinate):
        # Apart from what moved them, the objective is compiled as it would be alone: to the bit.
        params = jax.lax.optimization_barrier(place(coordinate))
        return scalars(method, objective(prepare(params) if prepare else params))

    return jax.lax.map(of_one, coordinates, batch_size=batch_size)


def scalars(method: str, values: Any) -> Any:
    """The values as arrays.

    Raises:
      InputError: where one is no scalar.
    """
    values = jax.tree.map(jnp.asarray, values)
    shapes = [x.shape for x in jax.tree.leaves(values)]
    if any(shapes) or not shapes:
        got = f"shape {next(filter(None, shapes))}" if shapes else "no value"
        raise InputError(
            f"{method}: the objective must give a scalar or a dict of scalars, got {got}; "
            "take the mean over the samples, as mean_loss does"
        )
    return values


def scalar(method: str, objective: Callable[[Params], Any]) -> Callable[[Params], jax.Array]:
    """The objective, which must give one scalar when it is called.

    Raises:
      InputError: from what is returned, where it does not.
    """

    def checked(params):
        value = objective(params)
        if not hasattr(value, "shape") or jnp.shape(value):
            got = f"shape {value.shape}" if hasattr(value, "shape") else type(value).__name__
            raise InputError(
                f"{method}: the objective must give one scalar, got {got}; "
                "take the mean over the samples, as mean_loss does"
            )
        return value

    return checked
