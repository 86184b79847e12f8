"""A plateau scales the learning rate inside an optimizer."""

from typing import Any, NamedTuple

import optax

from jaxopt_lab.control.monitor import Mode
from jaxopt_lab.control.plateau import (
    Measurements,
    PlateauState,
    Rule,
    ThresholdMode,
    init_plateau,
    make_observe,
)
from jaxopt_lab.control.states import inner_transformation
from jaxopt_lab.core.declare import declare, reads
from jaxopt_lab.core.errors import ArgumentError
from jaxopt_lab.core.ranges import NonNegative, OpenDecay, Positive, checked


class PlateauLearningRateState(NamedTuple):
    """The plateau's state, and the wrapped one's."""

    plateau: PlateauState
    inner: Any


@declare(
    place="wrapper",
    role="plateau",
    given={"inner": "inner", "learning_rate": "learning_rate"},
    rate_scale=reads(PlateauState, "scale"),
)
@checked
def plateau_learning_rate(
    inner: optax.GradientTransformation,
    *,
    monitor: str = "val_loss",
    factor: OpenDecay = 0.1,
    patience: Measurements = 10,
    mode: Mode = "min",
    threshold: NonNegative = 1e-4,
    threshold_mode: ThresholdMode = "absolute",
    cooldown: Measurements = 0,
    floor: NonNegative = 0.0,
    learning_rate: Positive = 1.0,
    rule: Rule = "keras",
) -> optax.GradientTransformationExtraArgs:
    """Reduce the learning rate inside an optimizer when a metric has stopped improving.

    The same rule as `reduce_on_plateau`, and the only way to Keras' own trajectory with momentum,
    whose velocity keeps the rates that its gradients came with.

        eta <- s eta    wherever eta stands in the wrapped optimizer's equation

    The scale s goes inward as the extra argument `learning_rate_scale`, times any that came from
    outside. Inside `optax.MultiSteps` it sees the calls that step only, and inside `multi_steps`
    all. This toolkit's optimizers read it; optax's own do not, and for these there is
    `reduce_on_plateau`.

    Args:
      inner: an optimizer, or a chain with one, that takes extra arguments.
      monitor: as in `reduce_on_plateau`, and so are all others.
      factor: f in (0, 1).
      patience: measurements, >= 0.
      mode: static; "min" or "max".
      threshold: >= 0.
      threshold_mode: static; "absolute" or "relative".
      cooldown: measurements, >= 0.
      floor: the lowest learning rate; of the scale itself while `learning_rate` is 1.
      learning_rate: eta, which the scale multiplies; for `floor` only.
      rule: static; "keras" or "torch".

    Returns:
      A transformation; state `PlateauLearningRateState(plateau, inner)`.

    Raises:
      ArgumentError: for a number out of its range, an unknown word, or an inner transformation
        that takes no extra arguments.
      InputError: from `update`, where the metric is not given.

    Reference: ReduceLROnPlateau of Keras and of PyTorch, which assign the optimizer's rate.

    Differs from: as `reduce_on_plateau`.
    """
    takes_extra = isinstance(inner, optax.GradientTransformationExtraArgs | optax.MultiSteps)
    if not takes_extra:
        text = "takes no extra arguments, so learning_rate_scale would not reach it"
        raise ArgumentError("plateau_learning_rate", {"inner": text})
    inner = inner_transformation(inner)
    observe = make_observe(
        "plateau_learning_rate",
        monitor=monitor,
        factor=factor,
        patience=patience,
        mode=mode,
        threshold=threshold,
        threshold_mode=threshold_mode,
        cooldown=cooldown,
        floor=floor,
        learning_rate=learning_rate,
        rule=rule,
    )

    def init(params):
        return PlateauLearningRateState(init_plateau(mode), inner.init(params))

    def update(updates, state, params=None, *, metrics=None, learning_rate_scale=1.0, **extra):
        plateau = observe(state.plateau, metrics)
        updates, new = inner.update(
            updates,
            state.inner,
            params,
            metrics=metrics,
            learning_rate_scale=plateau.scale * learning_rate_scale,
            **extra,
        )
        return updates, PlateauLearningRateState(plateau, new)

    return optax.GradientTransformationExtraArgs(init, update)
