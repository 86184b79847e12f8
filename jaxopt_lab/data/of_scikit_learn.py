"""Tables that come with scikit-learn, read from its folder without importing it."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_lab.core.errors import require


def of_scikit_learn(
    name: str,
    files: tuple[str, ...],
    *,
    delimiter: str | None = None,
    skiprows: int = 0,
    **otherwise: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """The features and the labels of a data set of scikit-learn.

    To import it, and SciPy and pandas with it, takes longer than many a first run trains.

    Args:
      name: of the data set, as in `sklearn.datasets.load_digits`, which is asked should a version
        of scikit-learn keep its files elsewhere.
      files: which have a row for each sample, side by side; the last column is the labels.
      delimiter, skiprows: how `numpy.loadtxt` is to read them.
      otherwise: further arguments of that function of scikit-learn.

    Returns:
      Features (N, d) and labels (N,), float64, in the units of the files.

    Raises:
      InputError: scikit-learn is not installed.
    """
    require("sklearn", "lab")
    spec = importlib.util.find_spec("sklearn")
    for place in (spec and spec.submodule_search_locations) or ():
        paths = [Path(place) / "datasets" / "data" / file for file in files]
        if all(path.is_file() for path in paths):
            reading = {"delimiter": delimiter, "skiprows": skiprows, "ndmin": 2}
            columns = np.hstack([np.loadtxt(path, **reading) for path in paths])
            return columns[:, :-1], columns[:, -1]
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(return_X_y=True, **otherwise)
