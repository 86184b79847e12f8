"""An `.npz` file of NumPy."""

import os

from jaxopt_lab.core.ranges import FilePath
from jaxopt_lab.data.arrays import dataset_of
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.fingerprint import fingerprint_of
from jaxopt_lab.data.npy_format import read_npz


def npz(path: FilePath) -> Dataset:
    """An .npz file: arrays x and y, and perhaps those of a test split.

    `numpy.savez(path, x=x, y=y)` writes one. Its members: `x` (N, ...), of uint8 for images or of
    floats; `y`; `x_test` and `y_test`, without which a test split is drawn; `weight` and
    `weight_test`, (N,), how much a sample counts; `group`, (N,), rows that belong together;
    `classes`, (K,), names. `x_train` and `y_train` will do for `x` and `y`.

    What y is goes by its dtype: (N,) whole numbers, booleans or text are classes, (N, K) whole
    numbers 0 and 1 are labels, floats are numbers.

    Arrays beyond 256 MiB stay on the disk and are read a batch at a time, where the file is not
    compressed. x of (N, H, W) uint8 gets a channel; x of other whole numbers, and of float64,
    becomes float32. Nothing that is pickled is read.

    Args:
      path: of the file.

    Returns:
      A `Dataset`.

    Raises:
      InputError: no such file, damaged, a member that is missing, that does not fit the others or
        that is no data, or compressed and larger than a quarter of the memory.

    Reference:
      The formats: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
    """
    arrays = read_npz(path)
    return dataset_of(arrays, os.fspath(path), fingerprint=fingerprint_of([("npz", path)]))
