"""A fixed split that keeps the share of every class."""

import numpy as np

_SEED = 0


def stratified(labels: np.ndarray, test_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of a training and a test split, each shuffled, for integer labels 0 and up."""
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
