"""The plain average of parameters along the way."""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.control.params import after_step
from jaxopt_lab.core.averages import begun_average, parameters_toward
from jaxopt_lab.core.declare import Keeps, declare, reads
from jaxopt_lab.core.ranges import Duration, Range, Steps, checked
from jaxopt_lab.core.types import Params


class StochasticWeightAveragingState(NamedTuple):
    """Steps taken, parameters averaged, their average, float32 or wider, and what rounding took."""

    count: jax.Array
    averaged: jax.Array
    average: Params
    rest: Params


@declare(
    place="updates",
    role="average",
    keeps=Keeps("average", reads(StochasticWeightAveragingState, "average")),
)
@checked
def stochastic_weight_averaging(
    start: Annotated[int, Range(0), Duration()], every: Steps = 1
) -> optax.GradientTransformationExtraArgs:
    """Keep the mean of the parameters at equal distances; training does not see it.

    With a high constant or cyclical rate near the end of a run it finds the middle of a wide
    minimum. Batch statistics must be re-estimated for it. Last in the chain: it averages the
    parameters after the step, which are those of the call plus the updates that reach it.

        a <- a + (theta - a) / (n + 1)    after t steps, t >= start, (t - start) mod every = 0

    Before the first of these the average is the current parameters. What a step rounds off is kept
    and added at the next one, so that the average of very many is as exact as that of a few.
    Memory: twice the parameters, in float32 or wider.

    Args:
      start: steps before the first parameters that count; with 0 the first are those after `every`
        steps.
      every: steps between those that count.

    Returns:
      A transformation that leaves updates alone; state
      `StochasticWeightAveragingState(count, averaged, average, rest)`, see `averaged_params`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where the parameters are not given.

    Reference: Izmailov et al., 2018, https://arxiv.org/abs/1803.05407; `AveragedModel` of
    `torch.optim.swa_utils`.
    """

    def init(params):
        average, rest = begun_average(params)
        return StochasticWeightAveragingState(
            count=jnp.zeros([], jnp.int32),
            averaged=jnp.zeros([], jnp.int32),
            average=average,
            rest=rest,
        )

    def update(updates, state, params=None, **extra):
        del extra
        new = after_step("stochastic_weight_averaging", params, updates)
        count = jnp.asarray(optax.safe_increment(state.count))
        take = (count >= start) & ((count - start) % every == 0)
        share = 1 / (state.averaged + 1).astype(float)
        weight = jnp.where(take, share, jnp.where(state.averaged == 0, 1.0, 0.0))
        averages = parameters_toward(state.average, state.rest, new, weight)
        return updates, StochasticWeightAveragingState(count, state.averaged + take, *averages)

    return optax.GradientTransformationExtraArgs(init, update)
