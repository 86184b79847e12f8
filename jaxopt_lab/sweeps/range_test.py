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


def has_fallen(losses: np.ndarray, smooth: np.ndarray, begin: int) -> bool:
    """Whether a run's loss falls by more than noise makes the average of a flat one fall.

        before - min m_k > 2 (1 + 1/sqrt(begin)) sigma,    and > 2 % of `before`

    with `before` the mean of the first `begin` losses and sigma^2 half the mean square of the
    differences of neighbors. Of independent normal losses at one level, 1,000 curves of 200 steps
    fell by at most 1.4 sigma; of ten networks, 160 curves to 10 fell by 3.4 sigma and more.

    Args:
      losses, smooth: (steps,), up to where it diverged.
      begin: steps whose mean is the loss before the fall, >= 1.
    """
    if len(losses) <= begin:
        return False
    before, least = losses[:begin].mean(), begin + int(np.argmin(smooth[begin:]))
    noise = np.sqrt(np.mean(np.diff(losses[: least + 1]) ** 2) / 2)
    enough = max(2 * (1 + 1 / np.sqrt(begin)) * noise, 0.02 * abs(before))
    return bool(before - smooth[least] > enough)


def valley(rates: np.ndarray, smooth: np.ndarray, before: float) -> float:
    """The rate at which the loss has come four fifths of its way down.

    Levels of the loss say where, and no count of steps, so that it does not depend on how long the
    loss was flat before. For ten pairs of a network and one of eight optimizers (perceptrons,
    convolutions, an autoencoder; rates 1e-6 to 10 in 200 steps of 64 samples) it was between 0.44
    and 2.6 times the rate that was best in a sweep over four epochs. More steps a decade give a
    lower one.

    Args:
      rates, smooth: (steps,), up to where it diverged.
      before: the loss before it falls.

    Returns:
      A rate; NaN where there is none.

    Differs from: fastai's `valley`, a point of the longest decreasing subsequence, which counts the
    steps of a flat part with the fall.
    """
    if not len(rates):
        return float("nan")
    level = before - 0.8 * (before - smooth.min())
    return float(rates[int(np.argmax(smooth <= level))])
