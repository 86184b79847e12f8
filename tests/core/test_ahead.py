"""Rows that are read ahead: in the order asked for, whoever reads, and nothing is left over."""

import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest
from PIL import Image

from jaxopt_lab import data
from jaxopt_lab.core import rows as rows_module
from jaxopt_lab.core.ahead import Ahead
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.rows import chunks, in_turn, read_ahead, take_rows, workers_of

VALUES = np.arange(60).reshape(30, 2)
TABLE = np.random.default_rng(0).integers(0, 30, (7, 4))


def our_threads():
    return [thread for thread in threading.enumerate() if "_read" in thread.name]


@pytest.fixture(name="folder")
def _folder(tmp_path):
    for i in range(30):
        path = tmp_path / "images" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((3, 2), i, np.uint8)).save(path)
    return tmp_path / "images"


@pytest.mark.parametrize("table", [TABLE, [slice(0, 3), slice(9, 30)], [4, 0]])
def test_a_thread_reads_what_indexing_gives(table):
    ahead = Ahead(VALUES, table)
    found = list(ahead)
    assert len(found) == len(table)
    for index, batch in zip(table, found, strict=True):
        np.testing.assert_array_equal(batch, VALUES[index])
    ahead.close()
    assert not our_threads()


def test_what_goes_wrong_is_raised_where_it_is_asked_for():
    ahead = Ahead(VALUES, [np.arange(3), np.array([99]), np.arange(3)])
    assert next(ahead).shape == (3, 2)
    with pytest.raises(IndexError, match="99"):
        next(ahead)
    with pytest.raises(StopIteration):
        next(ahead)
    assert not our_threads()


def test_whoever_leaves_early_or_forgets_leaves_no_thread():
    ahead = Ahead(VALUES, [np.arange(3)] * 100)
    next(ahead)
    del ahead
    assert not our_threads()


def test_workers_read_the_same_and_one_that_is_killed_is_told(folder):
    x = take_rows(data.image_folder(str(folder), stream=True, workers=2).train["x"], slice(None))
    assert workers_of(x) == 2
    table = np.random.default_rng(1).integers(0, 30, (500, 4))
    ahead = read_ahead(x, table)
    workers = multiprocessing.active_children()
    for index in table[:20]:
        np.testing.assert_array_equal(next(ahead), x[index])
    assert len(workers) == 2
    os.kill(workers[0].pid, signal.SIGKILL)
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"was killed by signal 9: .* data\.workers = 1"):
        list(ahead)
    assert time.monotonic() - begin < 10
    assert not multiprocessing.active_children() and not our_threads()


@pytest.mark.slow
def test_workers_tell_which_file_is_damaged_and_large_arrays_are_read_by_them(folder, monkeypatch):
    x = data.image_folder(str(folder), stream=True, workers=2).train["x"]
    monkeypatch.setattr(rows_module, "_BY_WORKERS", 0)
    monkeypatch.setattr(rows_module, "_CHUNK_BYTES", 30)
    np.testing.assert_array_equal(np.concatenate(list(chunks(x))), x[...])
    batches = take_rows(x, TABLE)
    for index, batch in zip(TABLE, in_turn(batches, range(len(TABLE))), strict=True):
        np.testing.assert_array_equal(batch, x[index])
    (folder / "b" / "29.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"image_folder: b/29\.png in .* cannot be read"):
        list(chunks(x))
    assert not multiprocessing.active_children() and not our_threads()
