"""Numbers of the user's in another type."""

from typing import Any

import numpy as np


def cast(values: Any, dtype: Any) -> np.ndarray:
    """An array in another type, itself where it has that already.

    A number beyond its range is infinite, without NumPy's warning: who refuses what is infinite
    says in which row it is.
    """
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(dtype, copy=False)
