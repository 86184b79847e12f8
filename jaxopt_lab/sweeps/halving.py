"""Successive halving: where to stop and look, and who goes on."""

import math
from collections.abc import Sequence

import numpy as np


def rung_sizes(runs: int, factor: int | None) -> tuple[int, ...]:
    """How many runs are trained in each rung: all of them, then one of `factor`, and on.

    With factor eta there are as many rungs as leave one run: n, n // eta, ..., >= 1.

    Args:
      runs: at the start, >= 1.
      factor: eta >= 2; None for one rung.

    Returns:
      Descending counts.

    Reference: Jamieson and Talwalkar, 2016, https://arxiv.org/abs/1502.07943.
    """
    sizes = [runs]
    while factor is not None and sizes[-1] // factor >= 1:
        sizes.append(sizes[-1] // factor)
    return tuple(sizes)


def rung_ends(runs: int, total: int, factor: int | None) -> tuple[int, ...]:
    """The step at which each rung of `rung_sizes` ends: total / eta^s, ..., total / eta, total.

    Every rung costs about as much as any other.

    Args:
      runs: at the start, >= 1.
      total: steps of a whole run, >= 1.
      factor: eta >= 2; None for one rung.

    Returns:
      Ascending steps, the last of them `total`.

    Reference: Jamieson and Talwalkar, 2016, https://arxiv.org/abs/1502.07943.
    """
    last = len(rung_sizes(runs, factor)) - 1
    return tuple(math.ceil(total / (factor or 1) ** (last - k)) for k in range(last + 1))


def survivors(scores: Sequence[float], keep: int) -> list[int]:
    """Indices of the `keep` best scores, in their order; the lower the better, and never a NaN."""
    values = np.asarray(scores, np.float64)
    ranked = np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")
    return sorted(int(i) for i in ranked[:keep] if not np.isnan(values[i]))
