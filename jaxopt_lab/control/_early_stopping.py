"""Early stopping."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.control.monitor import Mode, improves, measured, worst
from jaxopt_lab.control.params import required
from jaxopt_lab.control.states import copied, inner_transformation, select, zero_where
from jaxopt_lab.core.declare import Keeps, declare, reads
from jaxopt_lab.core.ranges import NonNegative, Range, checked
from jaxopt_lab.core.tree import cast_like
from jaxopt_lab.core.types import Params


class EarlyStoppingState(NamedTuple):
    """What was measured, whether it has stopped, the best parameters, and the wrapped state.

    Attributes:
      calls: of `update` so far.
      seen: measurements so far.
      wait: of these, how many since the last improvement.
      best: the best value, float32 (float64 under x64), infinite before the first measurement.
      stopped: bool, for good.
      best_step: how many calls came before the one that brought it, the steps that the best
        parameters have behind them; -1 before there is one.
      best_params: the parameters that had the best value, or None where they are not kept.
      inner: state of the wrapped transformation.
    """

    calls: jax.Array
    seen: jax.Array
    wait: jax.Array
    best: jax.Array
    stopped: jax.Array
    best_step: jax.Array
    best_params: Params | None
    inner: Any

    @property
    def observed(self) -> tuple[str, ...]:
        """The fields that a measurement changes."""
        return ("seen", "calls", "wait", "best", "best_step", "stopped", "best_params")


@declare(
    place="wrapper",
    role="early_stopping",
    given={"inner": "inner", "evaluated": "evaluated"},
    keeps=Keeps(
        "best",
        reads(EarlyStoppingState, "best_params"),
        judged=True,
        switch="restore_best",
        step=reads(EarlyStoppingState, "best_step"),
    ),
    stopped=reads(EarlyStoppingState, "stopped"),
)
@checked
def early_stopping(
    inner: optax.GradientTransformation,
    *,
    monitor: str = "val_loss",
    patience: Annotated[int, Range(0)] = 10,
    mode: Mode = "min",
    min_delta: NonNegative = 0.0,
    baseline: float | None = None,
    start_from: Annotated[int, Range(0)] = 0,
    restore_best: bool = True,
    evaluated: Callable[[Any, Params], Params] | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Stop when a metric has stopped improving, and keep the best parameters.

    The plainest regularizer, and the end of a run whose length is not known.

        better:     value < best - delta  (min),    value > best + delta  (max)
        stop        at the `patience`-th measurement in a row that is not better
        u <- 0      from that call on, for good; the wrapped state stays as it was before it

    A measurement is a call of `update` whose metric is `ready`, and belongs to the `params` of that
    call: they become the best ones, not those after the step. All other calls change nothing, and a
    metric that is never ready never stops anything. NaN is never better. Under `vmap` each run
    stops by itself. Inside `optax.MultiSteps` it sees the calls that step only, and inside
    `multi_steps` all. `has_stopped` and `best_params` read the state.

    Args:
      inner: what is stopped: the whole chain, averages included.
      monitor: name of the metric, one of those in `metrics=` of `update`.
      patience: measurements, >= 0; 0 is as 1, but for the first measurement, which stops nothing.
      mode: static; whether "min" or "max" is better.
      min_delta: delta >= 0, by how much a value must be better to count.
      baseline: a value that must be beaten as well before an improvement ends the waiting.
      start_from: measurements that are not looked at, at the start.
      restore_best: static; keep the best parameters in the state. Before any improvement they are
        those that the run began with.
      evaluated: static; `(inner state, params) -> params` that the metrics are of, where these are
        not the parameters that are trained, but their average; None where they are.

    Returns:
      A transformation; state
      `EarlyStoppingState(calls, seen, wait, best, stopped, best_step, best_params, inner)`.

    Raises:
      ArgumentError: for a number out of its range or an unknown word.
      InputError: from `update`, where the metric or the parameters are not given.

    Reference: Prechelt, 1998, https://doi.org/10.1007/3-540-49430-8_3; EarlyStopping of Keras.

    Differs from: Keras takes the first value as the best even if it is NaN, and the first
    parameters with it. PyTorch has none; its plateau waits one measurement longer.
    """
    inner = inner_transformation(inner)

    def init(params):
        return EarlyStoppingState(
            calls=jnp.zeros([], jnp.int32),
            seen=jnp.zeros([], jnp.int32),
            wait=jnp.zeros([], jnp.int32),
            best=worst(mode),
            stopped=jnp.array(False),
            best_step=jnp.full([], -1, jnp.int32),
            best_params=copied(params) if restore_best else None,
            inner=inner.init(params),
        )

    def update(updates, state, params=None, *, metrics=None, **extra):
        metric = measured("early_stopping", metrics, monitor)
        ready = metric.ready & ~state.stopped
        counts = ready & (state.seen >= start_from)
        better = counts & improves(metric.value, state.best, mode, min_delta)
        ends_waiting = better
        if baseline is not None:
            ends_waiting = better & improves(metric.value, jnp.asarray(baseline), mode, min_delta)
        wait = jnp.where(ends_waiting, 0, state.wait + counts)
        out_of_patience = counts & ~better & (wait >= patience) & (state.seen > 0)
        stopped = state.stopped | out_of_patience
        best_params = None
        if restore_best:
            found = required("early_stopping", params)
            if evaluated is not None:
                found = cast_like(evaluated(state.inner, found), found)
            best_params = select(better, found, state.best_params)
        updates, new = inner.update(updates, state.inner, params, metrics=metrics, **extra)
        return zero_where(stopped, updates), EarlyStoppingState(
            calls=jnp.asarray(optax.safe_increment(state.calls)),
            seen=state.seen + ready,
            wait=wait,
            best=jnp.where(better, metric.value, state.best),
            stopped=stopped,
            best_step=jnp.where(better, state.calls, state.best_step),
            best_params=best_params,
            inner=select(stopped, state.inner, new),
        )

    return optax.GradientTransformationExtraArgs(init, update)
