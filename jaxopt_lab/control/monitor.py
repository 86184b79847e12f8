"""Reading a measured number, and whether it is better than the best so far."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.types import Metric

Mode = Literal["min", "max"]


def measured(control: str, metrics: Any, monitor: str) -> Metric:
    """The metric that a control watches, among those given to `update`.

    Raises:
      InputError: while tracing, where no metrics were given, or none of that name, or one that is
        not a `Metric`; the message names what was given.
    """
    wanted = f"{control} watches {monitor!r}"
    if metrics is None:
        raise InputError(
            f"{wanted}: give update(..., metrics={{{monitor!r}: Metric(value, ready)}})"
        )
    if monitor not in metrics:
        given = ", ".join(metrics) or "none"
        close = nearest(monitor, metrics) or "."
        raise InputError(f"{wanted}, which is not given{close} Given: {given}.")
    metric = metrics[monitor]
    if not isinstance(metric, Metric):
        kind = type(metric).__name__
        raise InputError(f"{wanted}: it must be a Metric(value, ready), got a {kind}")
    return Metric(jnp.asarray(metric.value, float), jnp.asarray(metric.ready, jnp.bool_))


def worst(mode: Mode) -> jax.Array:
    """What every number is better than."""
    return jnp.array(jnp.inf if mode == "min" else -jnp.inf, float)


def improves(
    value: jax.Array, best: jax.Array, mode: Mode, margin: jax.typing.ArrayLike
) -> jax.Array:
    """Whether `value` is better than `best` by more than `margin`; never where it is NaN."""
    return value < best - margin if mode == "min" else value > best + margin
