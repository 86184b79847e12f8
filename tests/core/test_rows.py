"""Rows of a mapped file are those of the array that it holds."""

import numpy as np
import pytest

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.rows import Rows, bounds, chunks, is_lazy, take_rows
from jaxopt_lab.data import as_dataset

VALUES = np.random.default_rng(0).normal(size=(50, 3, 2))
ROWS = np.random.default_rng(1).permutation(50)[:40]


@pytest.fixture(name="mapped")
def _mapped(tmp_path):
    np.save(tmp_path / "x.npy", VALUES)
    return np.load(tmp_path / "x.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "rows", [ROWS, ROWS.reshape(8, 5), slice(3, 9)], ids=["some", "batches", "slice"]
)
def test_taken_rows_are_those_of_the_array_and_nothing_is_read(mapped, rows):
    taken, expected = take_rows(mapped, rows), VALUES[rows]
    assert is_lazy(taken) and not is_lazy(take_rows(VALUES, rows))
    assert (taken.shape, taken.ndim, len(taken)) == (expected.shape, expected.ndim, len(expected))
    assert taken.nbytes == expected.nbytes
    np.testing.assert_array_equal(np.asarray(taken), expected)
    for index in (2, slice(1, 4), np.array([4, 0, 4])):
        read = taken[index]
        np.testing.assert_array_equal(read, expected[index])
        twice = take_rows(taken, index) if not isinstance(index, int) else taken[index]
        np.testing.assert_array_equal(np.asarray(twice), expected[index])


def test_rows_of_another_dtype(mapped):
    rows = take_rows(Rows(mapped, dtype=np.float32), ROWS)
    assert rows.dtype == np.float32 and rows[:3].dtype == np.float32
    np.testing.assert_array_equal(rows[...], VALUES[ROWS].astype(np.float32))


@pytest.mark.parametrize("size", [1, 100, 10**9])
def test_chunks_hold_every_row_once(mapped, monkeypatch, size):
    monkeypatch.setattr("jaxopt_lab.core.rows._CHUNK_BYTES", size)
    for values in (VALUES, mapped, Rows(mapped)):
        np.testing.assert_array_equal(np.concatenate(list(chunks(values))), VALUES)
        assert bounds(values) == (VALUES.min(), VALUES.max())
    drawn = np.concatenate(list(chunks(Rows(mapped, ROWS))))
    np.testing.assert_array_equal(drawn, VALUES[np.sort(ROWS)])


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_what_is_beyond_a_type_is_infinite_without_a_warning(dtype):
    values = np.array([[1.0], [-1e300]], dtype)
    assert np.isneginf(Rows(values, dtype=np.float32)[1]).all()
    assert np.isneginf(np.asarray(Rows(values, dtype=np.float32))[1]).all()
    assert np.isneginf(as_dataset((values, np.array([0, 1]))).train["x"][1]).all()
    for given in ({"y": values[:, 0]}, {"y": np.arange(2), "weight": values[:, 0]}):
        with pytest.raises(InputError, match=r"inf at row 1"):
            as_dataset({"train": {"x": np.ones((2, 1))} | given})
