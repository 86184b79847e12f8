"""A split that keeps the share of every class."""

import numpy as np


def stratified(labels: np.ndarray, test_count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of a training and a test split, each shuffled, for integer labels 0 and up.

    Each class gives its share, rounded by largest remainders, but never its last row; the same seed
    draws the same rows.
    """
    # RandomState's streams are frozen; those of numpy's Generator may change between releases.
    random = np.random.RandomState(seed)
    drawn, order = random.permutation(len(labels)), random.permutation(len(labels))
    counts = np.bincount(labels)
    share = counts * test_count / len(labels)
    quota = np.floor(share).astype(int)
    remainders = np.argsort(quota - share, kind="stable")
    quota[remainders[: test_count - quota.sum()]] += 1
    quota = np.minimum(quota, np.maximum(counts - 1, 0))  # each class is trained on

    in_test = np.zeros(len(labels), bool)
    for label, count in enumerate(quota):
        in_test[drawn[labels[drawn] == label][:count]] = True
    return order[~in_test[order]], order[in_test[order]]
