"""Scikit-learn's digits."""

import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data._dataset import Dataset

_TEST_COUNT = 360
_SEED = 0


def digits() -> Dataset:
    """Digits: 1,797 real 8x8 grey handwritten digits, 1,437 to train and 360 to test.

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
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InputError(
            'digits: scikit-learn is not installed: pip install "jaxopt_lab[lab]"'
        ) from error
    values, labels = load_digits(return_X_y=True)
    values = np.asarray(values).astype(np.int32).reshape(-1, 8, 8, 1)
    images = ((values * 255 + 8) // 16).astype(np.uint8)
    labels = np.asarray(labels).astype(np.int32)

    train, test = _stratified(labels, _TEST_COUNT)
    return Dataset(
        {"image": images[train], "label": labels[train]},
        {"image": images[test], "label": labels[test]},
        tuple("0123456789"),
    )


def _stratified(labels: np.ndarray, test_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of a training and a test split, each shuffled."""
    # RandomState's streams are frozen; those of numpy's Generator may change between releases.
    random = np.random.RandomState(_SEED)
    drawn, order = random.permutation(len(labels)), random.permutation(len(labels))
    share = np.bincount(labels) * test_count / len(labels)
    quota = np.floor(share).astype(int)
    remainders = np.argsort(quota - share, kind="stable")
    quota[remainders[: test_count - quota.sum()]] += 1

    in_test = np.zeros(len(labels), bool)
    for label, count in enumerate(quota):
        in_test[drawn[labels[drawn] == label][:count]] = True
    return order[~in_test[order]], order[in_test[order]]
