"""Cosine decay."""

from jaxopt_lab.core.ranges import NonNegative, Positive, Steps, checked
from jaxopt_lab.core.types import Schedule
from jaxopt_lab.schedules.anneal import cosine, share_of
from jaxopt_lab.schedules.of_step import described, of_step


@checked
@described
def cosine_decay(steps: Steps, *, peak: Positive = 1.0, end: NonNegative = 0.0) -> Schedule:
    """From `peak` to `end` on half a cosine, then constant: slow, fast, slow.

    The usual choice for a run of known length, most often after a `warmup`.

        eta_k = eta_tau + 1/2 (eta_0 - eta_tau) (1 + cos(pi k / tau))    for k <= tau

    Args:
      steps: tau, the length of the decay; in a config the whole run unless given.
      peak: eta_0, the value at step 0.
      end: eta_tau, the value from step tau on.

    Returns:
      A schedule, `step -> scalar`.

    Raises:
      ArgumentError: for a number out of its range.

    Reference: Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983, without restarts.

    Differs from: Keras and optax give the end as a share of the peak, `alpha`.
    """
    return of_step(lambda step: cosine(peak, end, share_of(step, 0, steps)))
