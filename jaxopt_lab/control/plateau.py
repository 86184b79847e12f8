"""When to reduce the learning rate: what the member and the wrapper share."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_lab.control.monitor import Mode, improves, measured, worst
from jaxopt_lab.control.states import select
from jaxopt_lab.core.ranges import Range

Measurements = Annotated[int, Range(0)]
Rule = Literal["keras", "torch"]
ThresholdMode = Literal["absolute", "relative"]


class PlateauState(NamedTuple):
    """The factor on the learning rate, the best value so far, and two counts of measurements.

    Attributes:
      scale: in (0, 1], float32 (float64 under x64).
      best: of the same type, infinite before the first measurement.
      wait: measurements without improvement.
      cooldown: measurements for which waiting is off, after a reduction.
    """

    scale: jax.Array
    best: jax.Array
    wait: jax.Array
    cooldown: jax.Array

    @property
    def observed(self) -> tuple[str, ...]:
        """The fields that a measurement changes."""
        return ("scale", "best", "wait", "cooldown")


def init_plateau(mode: Mode) -> PlateauState:
    """No reduction yet, and nothing measured."""
    return PlateauState(
        scale=jnp.ones([], float),
        best=worst(mode),
        wait=jnp.zeros([], jnp.int32),
        cooldown=jnp.zeros([], jnp.int32),
    )


def make_observe(
    control: str,
    *,
    monitor: str,
    factor: jax.typing.ArrayLike,
    patience: jax.typing.ArrayLike,
    mode: Mode,
    threshold: jax.typing.ArrayLike,
    threshold_mode: ThresholdMode,
    cooldown: jax.typing.ArrayLike,
    floor: jax.typing.ArrayLike,
    learning_rate: jax.typing.ArrayLike,
    rule: Rule,
) -> Callable[[PlateauState, Any], PlateauState]:
    """`(state, metrics) -> state`: one measurement seen, or none where the metric is not new.

    Keras counts a measurement in the same call in which a cooldown ends and reduces when the count
    reaches the patience. PyTorch does both one measurement later.
    """
    later = int(rule == "torch")
    least = floor / learning_rate

    def observe(state, metrics):
        metric = measured(control, metrics, monitor)
        margin = threshold * jnp.abs(state.best) if threshold_mode == "relative" else threshold
        margin = jnp.where(jnp.isfinite(state.best), margin, 0)  # inf - inf would be NaN
        better = improves(metric.value, state.best, mode, margin)
        cooling = jnp.maximum(state.cooldown - 1, 0)
        waited = jnp.where(better | (state.cooldown > 0), 0, state.wait)
        waited = waited + (~better & (cooling == 0))
        # Compared as it is stored: a rate that is rounded up would fall to its floor for ever.
        lowest = jnp.asarray(least, state.scale.dtype)
        can_fall = state.scale > lowest
        reduce = ~better & (cooling == 0) & (waited >= patience + later) & can_fall
        seen = PlateauState(
            scale=jnp.where(reduce, jnp.maximum(state.scale * factor, lowest), state.scale),
            best=jnp.where(better, metric.value, state.best),
            wait=jnp.where(reduce, 0, waited),
            cooldown=jnp.where(reduce, cooldown + later, cooling),
        )
        seen = jax.tree.map(lambda new, old: new.astype(old.dtype), seen, state)
        return select(metric.ready, seen, state)

    return observe
