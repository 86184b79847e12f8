"""A plateau scales the updates."""

import jax
import optax

from jaxopt_lab.control.monitor import Mode
from jaxopt_lab.control.norm import scaled
from jaxopt_lab.control.plateau import (
    Measurements,
    PlateauState,
    Rule,
    ThresholdMode,
    init_plateau,
    make_observe,
)
from jaxopt_lab.core.declare import declare, reads
from jaxopt_lab.core.ranges import NonNegative, OpenDecay, Positive, checked
from jaxopt_lab.core.transformation import transformation


@declare(
    place="updates",
    role="plateau",
    given={"learning_rate": "learning_rate"},
    rate_scale=reads(PlateauState, "scale"),
)
@checked
def reduce_on_plateau(
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
    """Reduce the step when a metric has stopped improving, by scaling the updates.

    For a run whose length is not known. It follows any optimizer, which keeps what it has gathered
    at the old rate; `plateau_learning_rate` changes the rate inside the optimizer.

        better:     value < best - delta  (min),    value > best + delta  (max)
        s <- max(s f, floor / eta)    after `patience` measurements that are not better
        u <- s u                      from the call of the measurement on

    A measurement is a call of `update` whose metric is `ready`; all others change nothing, and a
    metric that is never ready never reduces. NaN is not better. The best value follows the metric
    during a cooldown too. Inside `optax.MultiSteps` a measurement that comes with a silent call is
    lost; inside `multi_steps` and `skip_not_finite` it counts.

    Args:
      monitor: name of the metric, one of those in `metrics=` of `update`.
      factor: f in (0, 1).
      patience: measurements, >= 0; under Keras' rule 0 is as 1.
      mode: static; whether "min" or "max" is better.
      threshold: >= 0, by how much a value must be better to count.
      threshold_mode: static; delta is the threshold itself ("absolute") or times |best|
        ("relative").
      cooldown: measurements after a reduction that do not count, see `rule`.
      floor: the lowest learning rate; of the scale itself while `learning_rate` is 1.
      learning_rate: eta, which the scale multiplies; for `floor` only.
      rule: static; "keras" reduces when the count reaches the patience and counts the last
        measurement of a cooldown, "torch" does both one measurement later.

    Returns:
      A transformation; state `PlateauState(scale, best, wait, cooldown)`, which
      `learning_rate_scale` reads.

    Raises:
      ArgumentError: for a number out of its range or an unknown word.
      InputError: from `update`, where the metric is not given.

    Reference: ReduceLROnPlateau of Keras and of PyTorch.

    Differs from: Keras takes a NaN that comes first as the best; PyTorch's relative threshold has
    the wrong sign below 0, and its default; optax's has both slips, no maximum, and reads `value`.
    """
    observe = make_observe(
        "reduce_on_plateau",
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
        del params
        return init_plateau(mode)

    def update(updates, state, params=None, *, metrics=None, **extra):
        del params, extra
        state = observe(state, metrics)
        return jax.tree.map(lambda u: scaled(u, state.scale), updates), state

    return transformation(init, update)
