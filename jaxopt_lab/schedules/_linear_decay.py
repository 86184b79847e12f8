"""Linear decay."""

import jax.numpy as jnp

from jaxopt_lab.core.ranges import NonNegative, Positive, Steps, checked
from jaxopt_lab.core.types import Schedule


@checked
def linear_decay(steps: Steps, *, peak: Positive = 1.0, end: NonNegative = 0.0) -> Schedule:
    """From `peak` to `end` on a straight line, then constant.

        eta_k = (1 - k/tau) eta_0 + (k/tau) eta_tau    for k <= tau

    Args:
      steps: tau, the length of the decay; in a config the whole run unless given.
      peak: eta_0, the value at step 0.
      end: eta_tau, the value from step tau on.

    Returns:
      A schedule, `step -> float32 scalar`.

    Reference: Goodfellow et al., Deep Learning, 2016, equation 8.14.
    """

    def schedule(step):
        share = jnp.minimum(jnp.asarray(step, jnp.float32) / steps, 1.0)
        return (1 - share) * peak + share * end

    return schedule
