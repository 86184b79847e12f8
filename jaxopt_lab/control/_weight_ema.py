"""The moving average of the parameters."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxopt_lab.control.params import after_step
from jaxopt_lab.core.averages import begun_average, exact_bias_correction, parameters_toward
from jaxopt_lab.core.declare import Keeps, declare, reads
from jaxopt_lab.core.ranges import Decay, checked
from jaxopt_lab.core.types import Params


class WeightEmaState(NamedTuple):
    """Steps taken, the average, float32 or wider, and what rounding has kept from it."""

    count: jax.Array
    average: Params
    rest: Params


@declare(place="updates", role="average", keeps=Keeps("average", reads(WeightEmaState, "average")))
@checked
def weight_ema(
    decay: Decay = 0.999, *, debias: bool = False
) -> optax.GradientTransformationExtraArgs:
    """Keep an exponential moving average of the parameters; training does not see it.

    Better at evaluation than the last parameters, and smoother from one evaluation to the next.
    Batch statistics must be re-estimated for it. Last in the chain: it averages the parameters
    after the step, which are those of the call plus the updates that reach it.

        a <- theta                              after the first step
        a <- a + (1 - d) (theta - a)            after the others
        a <- a + (1 - d)/(1 - d^t) (theta - a)  after the t-th, with `debias`

    The first form remembers the first parameters longer, the second is the average from zero
    divided by what it has seen. What a step rounds off is kept and added at the next one, so that a
    slow average in float32 comes as near to the parameters as one in float64. Memory: twice the
    parameters, in float32 or wider.

    Args:
      decay: 0 <= d < 1; a number or a traced array.
      debias: static; the form with bias correction.

    Returns:
      A transformation that leaves updates alone; state
      `WeightEmaState(count, average, rest)`, see `averaged_params`.

    Raises:
      ArgumentError: for a number out of its range.
      InputError: from `update`, where the parameters are not given.

    Reference: Polyak and Juditsky, 1992, https://doi.org/10.1137/0330046; `get_ema_multi_avg_fn` of
    `torch.optim.swa_utils` (without debias), `optax.ema` (with it, of updates).
    """

    def init(params):
        return WeightEmaState(jnp.zeros([], jnp.int32), *begun_average(params))

    def update(updates, state, params=None, **extra):
        del extra
        new = after_step("weight_ema", params, updates)
        count = jnp.asarray(optax.safe_increment(state.count))
        weight = jnp.asarray(1 - decay, float)
        if debias:
            weight = weight / exact_bias_correction(decay, count)
        weight = jnp.where(count == 1, 1.0, weight)
        averages = parameters_toward(state.average, state.rest, new, weight)
        return updates, WeightEmaState(count, *averages)

    return optax.GradientTransformationExtraArgs(init, update)
