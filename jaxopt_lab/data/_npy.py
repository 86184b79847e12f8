"""`.npy` files of NumPy, one an array."""

from jaxopt_lab.core.ranges import FilePath
from jaxopt_lab.data.arrays import dataset_of
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.fingerprint import fingerprint_of
from jaxopt_lab.data.npy_format import read_npy


def npy(
    x: FilePath,
    y: FilePath,
    x_test: FilePath | None = None,
    y_test: FilePath | None = None,
    weight: FilePath | None = None,
    weight_test: FilePath | None = None,
    group: FilePath | None = None,
    classes: FilePath | None = None,
) -> Dataset:
    """.npy files: one of x, one of y, and perhaps others. Large ones stay on the disk.

    The arrays are those of `npz`, each in a file of its own, as `numpy.save(path, x)` writes it.

    Args:
      x: path of the samples, (N, ...).
      y: path of the targets, (N,) or (N, K).
      x_test, y_test: paths of a test split; without them one is drawn.
      weight, weight_test: paths of (N,), how much a sample counts.
      group: path of (N,) whole numbers or text, rows that belong together.
      classes: path of (K,) text, the names of the classes.

    Returns:
      A `Dataset`.

    Raises:
      InputError: no such file, damaged, or an array that does not fit the others or is no data.

    Reference:
      The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
    """
    paths = {
        "x": x,
        "y": y,
        "x_test": x_test,
        "y_test": y_test,
        "weight": weight,
        "weight_test": weight_test,
        "group": group,
        "classes": classes,
    }
    given = {name: path for name, path in paths.items() if path is not None}
    arrays = {name: read_npy(path, name) for name, path in given.items()}
    return dataset_of(arrays, "npy", fingerprint=fingerprint_of(given.items()))
