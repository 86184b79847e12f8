"""Smith's learning rate range test: what to make of the losses of a run whose rate grows."""

import numpy as np

# The average is over about ten steps. fastai has 0.98, fifty of its hundred steps, which moves the
# whole curve to the right.
DECAY = 0.9
DIVERGED = 4.0  # times its best: a loss above that has diverged, as fastai has it


def range_test_rates(low: float, high: float, steps: int) -> np.ndarray:
    """The rate of each step, (steps,): geometric from `low` to `high`.

    Args:
      low, high: the first and the last rate, 0 < low < high.
      steps: >= 2.

    Reference: Smith, 2017, https://arxiv.org/abs/1506.01186 (there linear).
    """
    return np.geomspace(low, high, steps)


def smoothed_losses(losses: np.ndarray, decay: float = DECAY) -> np.ndarray:
    """The exponential moving average without the bias of its start, along the last axis.

        m_k = decay m_{k-1} + (1 - decay) l_k,    m_k / (1 - decay^(k + 1))

    Args:
      losses: (..., steps).
      decay: in [0, 1).

    Returns:
      (..., steps) float64; from the first loss on that is not finite, NaN.
    """
    losses = np.asarray(losses, np.float64)
    average = np.zeros(losses.shape[:-1])
    out = np.empty_like(losses)
    for k in range(losses.shape[-1]):
        loss = losses[..., k]
        average = decay * average + (1 - decay) * np.where(np.isfinite(loss), loss, np.nan)
        out[..., k] = average / (1 - decay ** (k + 1))
    return out


def diverged_at(smooth: np.ndarray, factor: float = DIVERGED) -> int:
    """The first step at which a smoothed loss is `factor` times the best before it, or not finite.

    Args:
      smooth: (steps,), from `smoothed_losses`.
      factor: > 1.

    Returns:
      An index, `steps` where it never is.
    """
    best = np.fmin.accumulate(smooth)
    lost = ~np.isfinite(smooth) | (smooth > factor * best)
    return int(np.argmax(lost)) if lost.any() else len(smooth)


def steepest(rates: np.ndarray, smooth: np.ndarray) -> float:
    """The rate at which the smoothed loss falls fastest against the logarithm of the rate.

    Args:
      rates, smooth: (steps,), up to where it diverged; at least two.

    Returns:
      A rate; NaN for fewer steps.
    """
    if len(rates) < 2:
        return float("nan")
    slope = np.gradient(smooth, np.log(rates))
    return float(rates[int(np.argmin(slope))])


def valley(rates: np.ndarray, smooth: np.ndarray) -> float:
    """The rate half-way down the longest run of falling losses.

    The longest decreasing subsequence is the descent, whatever bumps it has; taken is its point at
    half of its length, as fastai's `valley`.

    Args:
      rates, smooth: (steps,), up to where it diverged.

    Returns:
      A rate; NaN where there is none.

    Reference: https://docs.fast.ai/callback.schedule.html#valley.
    """
    if not len(rates):
        return float("nan")
    length = np.ones(len(smooth), int)
    start = np.arange(len(smooth))
    for k in range(1, len(smooth)):
        above = np.flatnonzero(smooth[:k] > smooth[k])
        if len(above):
            best = above[np.argmax(length[above])]
            length[k], start[k] = length[best] + 1, start[best]
    end = int(np.argmax(length))
    third = (end - int(start[end])) // 3
    return float(rates[int(start[end]) + third + third // 2])
