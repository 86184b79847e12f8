"""Cosine decay."""

import jax.numpy as jnp

from jaxopt_lab.core.ranges import NonNegative, Positive, Steps, checked
from jaxopt_lab.core.types import Schedule


@checked
def cosine_decay(steps: Steps, *, peak: Positive = 1.0, end: NonNegative = 0.0) -> Schedule:
    """From `peak` to `end` on half a cosine, then constant: slow, fast, slow.

        eta_k = eta_tau + 1/2 (eta_0 - eta_tau) (1 + cos(pi k / tau))    for k <= tau

    Args:
      steps: tau, the length of the decay; in a config the whole run unless given.
      peak: eta_0, the value at step 0.
      end: eta_tau, the value from step tau on.

    Returns:
      A schedule, `step -> float32 scalar`.

    Reference: Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983, without restarts.
    """

    def schedule(step):
        share = jnp.minimum(jnp.asarray(step, jnp.float32) / steps, 1.0)
        return end + 0.5 * (peak - end) * (1 + jnp.cos(jnp.pi * share))

    return schedule
