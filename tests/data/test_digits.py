import hashlib

import numpy as np
from sklearn.datasets import load_digits

from jaxopt_lab import data


def rows(split):
    """Each image with its label, as bytes."""
    return [
        image.tobytes() + bytes([label])
        for image, label in zip(split["x"], split["y"], strict=True)
    ]


def test_counts_shapes_and_dtypes():
    dataset = data.digits()
    for split, count in ((dataset.train, 1437), (dataset.test, 360)):
        assert split.keys() == {"x", "y"}
        assert split["x"].shape == (count, 8, 8, 1)
        assert split["x"].dtype == np.uint8
        assert split["y"].shape == (count,)
        assert split["y"].dtype == np.int32
        assert split["x"].flags.c_contiguous
    assert dataset.classes == tuple("0123456789")


def test_the_values_are_scaled_exactly():
    table = np.array([int(value * 255 / 16 + 0.5) for value in range(17)], np.uint8)
    assert (table[0], table[8], table[16]) == (0, 128, 255)
    dataset = data.digits()
    images = np.concatenate([dataset.train["x"], dataset.test["x"]])
    assert set(np.unique(images)) == set(table)


def test_the_splits_part_the_original():
    """Disjoint and complete: together they are scikit-learn's rows, each once."""
    values, labels = load_digits(return_X_y=True)
    scaled = np.floor(values * 255 / 16 + 0.5).astype(np.uint8)
    original = rows({"x": scaled, "y": labels})
    assert len(set(original)) == 1797  # no image occurs twice, so equal rows are the same row
    dataset = data.digits()
    train, test = rows(dataset.train), rows(dataset.test)
    assert not set(train) & set(test)
    assert sorted(train + test) == sorted(original)


def test_the_split_is_stratified_and_shuffled():
    dataset = data.digits()
    train, test = (np.bincount(s["y"], minlength=10) for s in (dataset.train, dataset.test))
    share = (train + test) * 360 / 1797
    assert np.all(np.abs(test - share) < 1)
    for split in (dataset.train, dataset.test):
        assert np.any(np.diff(split["y"][:50]) < 0)
        assert len(set(split["y"][:50])) == 10


def test_the_split_is_always_the_same():
    """Recorded once: another order would change every result that was ever reported."""
    digest = hashlib.sha256()
    for split in [*data.digits()][:2]:
        digest.update(split["x"].tobytes() + split["y"].astype("<i4").tobytes())
    recorded = "d5292b4cd3bcd728d0d78411bf46e4bc623bf742fdb3f9808332e9eca54d38bb"
    assert digest.hexdigest() == recorded


def test_the_global_generator_is_neither_read_nor_moved():
    state = np.random.get_state()
    try:
        np.random.seed(7)
        expected = np.random.random()
        np.random.seed(7)
        first = data.digits()
        assert np.random.random() == expected
        assert rows(first.train) == rows(data.digits().train)
    finally:
        np.random.set_state(state)
