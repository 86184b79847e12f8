"""How sure a score of a finite sample is."""

import math

import numpy as np

Z = 1.959963984540054
"""Standard deviations of a normal distribution that hold 95 % of it."""


def wilson(successes: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a probability, of so many successes in so many trials.

    It stays within [0, 1], and is none of width 0 where all succeed.

    Args:
      successes: 0 to `count`.
      count: of the trials, >= 1.

    Reference:
      Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    share, z = successes / count, Z**2 / count
    middle = (share + z / 2) / (1 + z)
    half = Z * math.sqrt(share * (1 - share) / count + z / (4 * count)) / (1 + z)
    return max(0.0, middle - half), min(1.0, middle + half)


def of_mean(values: np.ndarray) -> tuple[float, float] | None:
    """The 95 % interval of the mean of a distribution, of (N,) draws; None of fewer than two.

    By the normal distribution, which the mean of many draws nears.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    mean = float(np.mean(values, dtype=np.float64))
    half = Z * float(np.std(values, ddof=1, dtype=np.float64)) / math.sqrt(len(values))
    return mean - half, mean + half
