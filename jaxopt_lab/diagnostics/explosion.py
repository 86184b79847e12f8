"""Losses that end far above where they began."""

import numpy as np

EXPLODED = 10.0
"""Times the first loss, beyond which one has diverged though it is finite."""


def ending(values: np.ndarray) -> float:
    """The mean of the last twentieth of a curve (n,), because one batch may be an odd one."""
    return float(np.asarray(values, np.float64)[-max(1, len(values) // 20) :].mean())


def exploded(values: np.ndarray) -> bool:
    """Whether a curve (n,) ends above `EXPLODED` times its first value, which is positive."""
    return len(values) > 1 and 0 < EXPLODED * float(values[0]) < ending(values)
