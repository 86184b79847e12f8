"""Scikit-learn's digits."""

import numpy as np

from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.of_scikit_learn import of_scikit_learn
from jaxopt_lab.data.stratified import stratified

_TEST_COUNT = 360


def digits() -> Dataset:
    """Digits: 1,797 real 8x8 gray handwritten digits, 1,437 to train and 360 to test.

    They come with scikit-learn, so nothing is fetched: the data set for a first run, a test, a
    laptop. The values 0..16 become round(value * 255 / 16). The split is fixed and stratified:
    each class gives the test split its share of the 360, rounded by largest remainders.

    Returns:
      A `Dataset` of (N, 8, 8, 1) uint8 images, (N,) int32 labels 0..9, in a fixed shuffled order.

    Raises:
      InputError: scikit-learn is not installed.

    Reference:
      Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998: its test split.
    """
    values, labels = of_scikit_learn("digits", ("digits.csv.gz",), delimiter=",")
    values = np.asarray(values).astype(np.int32).reshape(-1, 8, 8, 1)
    images = ((values * 255 + 8) // 16).astype(np.uint8)
    labels = np.asarray(labels).astype(np.int32)

    train, test = stratified(labels, _TEST_COUNT)
    return Dataset(
        {"x": images[train], "y": labels[train]},
        {"x": images[test], "y": labels[test]},
        tuple("0123456789"),
    )
