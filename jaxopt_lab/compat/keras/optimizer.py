"""What every Keras optimizer does around its step, and the arguments that say so."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.compat.rates import inverse_time, is_off
from jaxopt_lab.control import clip_by_global_norm, clip_by_norm, clip_by_value
from jaxopt_lab.core.averages import moving_average
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.mask import Mask, full_mask
from jaxopt_lab.core.ranges import NonNegative, Probability, Range
from jaxopt_lab.core.rates import value_at
from jaxopt_lab.core.transformation import as_arrays, refuse_complex, transformation
from jaxopt_lab.core.tree import is_trained, widen
from jaxopt_lab.core.types import Params, ScalarOrSchedule
from jaxopt_lab.optimizers.weight_decay import decay_rates, need_params

Clip = Annotated[float | None, Range(0, math.inf, low_open=True)]
Decoupled = Annotated[ScalarOrSchedule | None, Range(0, math.inf, high_open=True)]
Frequency = Annotated[int | None, Range(1)]


_TEXT = {
    "weight_decay": """\
  weight_decay: lambda >= 0 or None; decoupled, scaled by the rate, of every parameter.
""",
    "clipnorm": """\
  clipnorm, clipvalue, global_clipnorm: the largest norm of each tensor's gradient, absolute value,
    norm of all gradients together; at most one of the three.
""",
    "use_ema": """\
  use_ema, ema_momentum: static, and mu; keep an average of the parameters, as `state.average`.
""",
    "ema_overwrite_frequency": """\
  ema_overwrite_frequency: static; every how many steps the average becomes the parameters. Right
    only where nothing follows in the chain.
""",
    "decay": """\
  decay: of Keras before 2.11, eta / (1 + decay t). Keras 3 ignores it.
""",
    "exclude_from_weight_decay": """\
  exclude_from_weight_decay: of Keras' method of that name: a pytree of bools, a prefix of one or a
    function of the parameters that gives one, True where a parameter does not decay; None for
    nowhere.
""",
}

_RETURNS = """
Returns:
  A transformation; state `KerasState(count, inner, average)`.

Raises:
  ArgumentError: for a number out of its range, or more than one clip.
  InputError: from `init`, for complex parameters, which Keras has none of.

"""


class KerasState(NamedTuple):
    """Steps taken, the state of the step itself, and the average of the parameters (or None)."""

    count: jax.Array
    inner: Any
    average: Params | None


def keras_optimizer(
    step: Callable[..., optax.GradientTransformationExtraArgs],
) -> Callable[..., optax.GradientTransformationExtraArgs]:
    """Give an optimizer the arguments that all Keras optimizers have, with what they do.

    A decorator, under `checked`. The arguments of `_around` follow the optimizer's own in its
    signature and its annotations, and their text stands in its docstring before `Reference:`.

    Args:
      step: `(learning_rate, ...) -> transformation`, the optimizer by itself. One of the shared
        arguments that it declares keeps the place and the default that it has there.
    """
    declared = inspect.signature(step).parameters
    shared = dict(list(inspect.signature(_around).parameters.items())[3:])
    added = [p for name, p in shared.items() if name not in declared]
    signature = inspect.Signature(sorted((*declared.values(), *added), key=lambda p: p.kind))

    @functools.wraps(step)
    def optimizer(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        values = bound.arguments
        around = {name: values.pop(name) for name in shared}
        eta = inverse_time(values.pop("learning_rate"), around["decay"])
        return _around(step.__name__, step(eta, **values), eta, **around)

    # Not unwrapped to `step`, which knows neither the annotations nor the signature.
    del optimizer.__wrapped__
    optimizer.__signature__ = signature  # type: ignore[attr-defined]
    optimizer.__annotations__ = step.__annotations__ | {p.name: p.annotation for p in added}
    text = "".join(_TEXT[name] for name in shared if name in _TEXT and name not in declared)
    before, reference, after = (inspect.getdoc(step) or "").partition("Reference:")
    optimizer.__doc__ = f"{before.rstrip()}\n{text}{_RETURNS}{reference}{after}"
    return optimizer


def _around(
    name: str,
    inner: optax.GradientTransformationExtraArgs,
    eta: ScalarOrSchedule,
    weight_decay: Decoupled = None,
    clipnorm: Clip = None,
    clipvalue: Clip = None,
    global_clipnorm: Clip = None,
    use_ema: bool = False,
    ema_momentum: Probability = 0.99,
    ema_overwrite_frequency: Frequency = None,
    *,
    decay: NonNegative = 0.0,
    exclude_from_weight_decay: Mask = None,
) -> optax.GradientTransformationExtraArgs:
    """Clip, decay, step, average, in Keras' order.

        g <- clip(g),    eta = learning_rate / (1 + decay t)
        theta <- theta - eta lambda theta                      every parameter not excluded
        theta <- theta + step(g, eta)
        a <- theta at t = 0, later  mu a + (1 - mu) theta      use_ema
        theta <- a at every n-th step                          ema_overwrite_frequency

    Args:
      name: of the optimizer, for messages.
      inner: its step, at the rate eta.
      eta: a number, a traced array or a schedule, with `decay` in it.

    Raises:
      ArgumentError: for more than one of the three clips.
    """
    del decay  # in eta
    clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
    given = [key for key, value in clips.items() if value is not None]
    if len(given) > 1:
        raise ArgumentError(name, {given[1]: f"cannot be set beside {given[0]}"})

    def decays(params):
        if exclude_from_weight_decay is None:
            return full_mask(True, params)
        excluded = full_mask(exclude_from_weight_decay, params)
        return jax.tree.map(lambda excluded: not excluded, excluded)

    def stepped(grads, state, params=None, *, count, learning_rate_scale=None):
        g = _clipped(widen(grads), clipnorm, clipvalue, global_clipnorm)
        u, state = inner.update(g, state, params, learning_rate_scale=learning_rate_scale)
        if not is_off(weight_decay):
            need_params(name, params)
            rate = value_at(eta, count, learning_rate_scale)
            lam = decay_rates(weight_decay, decays, params, count)
            u = jax.tree.map(lambda u, p, lam: u - rate * lam * p, u, widen(params), lam)
        return u, state

    step = transformation(inner.init, stepped)

    def init(params):
        refuse_complex(name, params)
        # A copy: the parameters and the state may both be donated.
        average = None
        if use_ema:
            average = jax.tree.map(lambda p: jnp.array(p, copy=True), widen(params))
        return KerasState(jnp.zeros([], jnp.int32), step.init(params), average)

    def update(grads, state, params=None, *, learning_rate_scale=None, **extra):
        del extra
        grads = as_arrays(grads)
        u, inner_state = step.update(
            grads,
            state.inner,
            params,
            count=state.count,
            learning_rate_scale=learning_rate_scale,
        )
        count = optax.safe_increment(state.count)
        average = state.average
        if use_ema:
            need_params(name, params)
            mu = jnp.where(state.count == 0, 0.0, ema_momentum)

            def averaged(a, p, u):
                return moving_average(mu, a, p + u) if is_trained(p) else p

            average = jax.tree.map(averaged, state.average, widen(params), u)
            if ema_overwrite_frequency is not None:
                now = jnp.asarray(count) % ema_overwrite_frequency == 0
                u = jax.tree.map(
                    lambda u, a, p: jnp.where(now, a - p, u) if is_trained(p) else u,
                    u,
                    average,
                    widen(params),
                )
        u = jax.tree.map(lambda u, g: u.astype(g.dtype) if is_trained(u) else u, u, grads)
        return u, KerasState(count, inner_state, average)

    return optax.GradientTransformationExtraArgs(init, update)


def _clipped(g, clipnorm: float | None, clipvalue: float | None, global_clipnorm: float | None):
    if clipnorm is not None:
        return clip_by_norm(clipnorm).update(g, optax.EmptyState())[0]
    if clipvalue is not None:
        return clip_by_value(clipvalue).update(g, optax.EmptyState())[0]
    if global_clipnorm is not None:
        return clip_by_global_norm(global_clipnorm).update(g, optax.EmptyState())[0]
    return g
