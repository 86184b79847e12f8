"""Rows with memory that a CPU device takes as it lies."""

import jax
import numpy as np
import pytest

from jaxopt_lab.core import aligned
from jaxopt_lab.core.rows import Rows, take_rows
from jaxopt_lab.data.dataset import Dataset
from jaxopt_lab.data.splitting import split


def is_shared(values):
    return jax.device_put(values).unsafe_buffer_pointer() == values.ctypes.data


VALUES = [
    np.arange(60, dtype=np.float32).reshape(10, 2, 3),
    np.arange(10, dtype=np.int16),
    np.zeros((10, 0), np.float32),
    np.array(["a", "bc"] * 5),
    np.array(["a", None] * 5, object),
]


@pytest.mark.parametrize("values", VALUES, ids=lambda v: f"{v.dtype}{v.shape}")
@pytest.mark.parametrize(
    "rows",
    [np.array([3, 0, 3]), np.array([[1, 2], [9, 0]]), np.array([-1, 4]), np.array([], int)],
    ids=str,
)
def test_rows_are_those_of_an_index(values, rows):
    found = take_rows(values, rows)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values[rows])


def test_a_row_that_is_not_there_is_an_error_and_a_mask_is_one():
    with pytest.raises(IndexError):
        take_rows(VALUES[0], np.array([0, 10]))
    mask = np.arange(10) % 3 == 0
    np.testing.assert_array_equal(take_rows(VALUES[0], mask), VALUES[0][mask])


@pytest.mark.parametrize("size", [1, 1000, 100_003])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_device_shares_the_memory(size, dtype):
    values = np.arange(3 * size).reshape(size, 3).astype(dtype)
    assert is_shared(aligned.rows_of(values, np.arange(size)[::-1]))
    read = aligned.copy_of(Rows(values))
    np.testing.assert_array_equal(read, values)
    assert is_shared(read)


def test_a_split_is_shared():
    x = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    found = split(Dataset({"x": x, "y": np.arange(1000) % 2}, None), validation=0.2)
    assert found.validation is not None
    for part in (found.train, found.validation, found.test):
        assert is_shared(part["x"])
