"""What every loader returns."""

from typing import NamedTuple

import numpy as np


class Dataset(NamedTuple):
    """A data set in memory, split as it was published.

    Attributes:
      train: `{"x": (N, H, W, C) uint8 in 0..255, "y": (N,) int32}`, C-contiguous.
      test: the same for the test split; its N differs, H, W and C do not.
      classes: the name of each label: `classes[label]`.
    """

    train: dict[str, np.ndarray]
    test: dict[str, np.ndarray]
    classes: tuple[str, ...]
