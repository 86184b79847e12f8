"""What is written a line at a time: bounded memory, and no torn line."""

import json
import tracemalloc

import numpy as np
import pytest

from jaxopt_lab.engine import Chunk, checkpoint
from jaxopt_lab.run.records import metrics_log
from jaxopt_lab.run.records.json_file import read_json, write_json
from jaxopt_lab.run.records.json_lines import (
    append_lines,
    last_lines,
    read_lines,
    recover_lines,
)
from jaxopt_lab.run.records.metrics_log import MetricsLog
from jaxopt_lab.run.records.timings import Timings


def chunk(start, count, *, evaluates=False):
    """Steps whose loss is the step, and an evaluation that is best at step 70."""
    end = start + count
    rows = {"loss": np.arange(start + 1, end + 1, dtype=np.float32)[None]}
    values = {"val_accuracy": np.array([-abs(end - 70)], np.float32)} if evaluates else None
    alive = np.array([True])
    return Chunk(None, start, count, rows, np.array([end]), alive, values, 0.0, 0.0)


@pytest.fixture(params=["folder", "none"])
def path(request, tmp_path):
    return tmp_path / "metrics.jsonl" if request.param == "folder" else None


@pytest.mark.parametrize("outline", [8, 2**16])
def test_every_row_comes_back_whatever_is_held_in_memory(path, outline, monkeypatch):
    monkeypatch.setattr(metrics_log, "OUTLINE", outline)
    log = MetricsLog(path, every=(2,))
    for start in range(0, 100, 5):
        log.add(chunk(start, 5, evaluates=True))
    history = log.history()
    np.testing.assert_array_equal(history["step"], np.arange(2, 101, 2))
    np.testing.assert_array_equal(history["loss"], np.arange(2, 101, 2))
    np.testing.assert_array_equal(history["eval_step"], np.arange(5, 101, 5))
    assert len(log.outline()["loss"]) <= outline and log.best("val_accuracy") == (0, 70)
    # A part of the steps, evenly, with the right values beside them.
    np.testing.assert_array_equal(log.outline()["loss"], log.outline()["step"])
    assert len(set(np.diff(log.outline()["step"]))) == 1
    log.close()
    if path is not None:
        resumed = MetricsLog(path, every=(2,), until=75)
        assert resumed.steps == 75 and resumed.history()["step"][-1] == 74
        assert resumed.best("val_accuracy") == (0, 70)
        resumed.close()


def test_numbers_of_layers_stay_beside_their_steps(path, monkeypatch):
    monkeypatch.setattr(metrics_log, "OUTLINE", 2**13)
    log, steps = MetricsLog(path, every=(1,)), np.arange(1, 20_001)
    values = np.where(steps % 8_000 == 0, steps, np.nan).astype(np.float32)
    for start in range(0, 20_000, 1_000):
        piece = chunk(start, 1_000, evaluates=True)
        rows = {"grad_norm": values[None, start : start + 1_000]}
        log.add(piece._replace(rows=piece.rows | rows))
    # In the file most blocks of rows have none; in memory a part of the steps is left.
    np.testing.assert_array_equal(log.history()["grad_norm"], values)
    outline = log.outline()
    there = np.isfinite(outline["grad_norm"])
    assert outline["step"][there].tolist() == [8_000, 16_000]
    log.close()


def test_the_memory_of_a_hundred_million_steps(path, monkeypatch):
    monkeypatch.setattr(metrics_log, "OUTLINE", 1024)
    log = MetricsLog(path, every=(10_000,))
    timings = Timings(path and path.with_name("timings.jsonl"))
    piece = chunk(0, 1_000_000)
    tracemalloc.start()
    for start in range(0, 100_000_000, 1_000_000):
        log.add(piece._replace(start=start, steps=np.array([start + 1_000_000])))
        timings.add(seconds=0.5)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 100_000 and len(log.history()["step"]) == 10_000
    assert timings.total("seconds") == 50
    log.close()
    timings.close()


@pytest.mark.parametrize(
    "torn", [b'{"n": 2, "x', b'{"n": 2}{"n"', b"\0\0\0", b"\xff\n", b"2\n", b'{"n": 2}'[:-1]]
)
def test_a_torn_line_goes_and_the_next_stands_alone(torn, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"n": 1}\n' + torn)
    for n in (2, 3):
        assert list(recover_lines(path)) == [{"n": m} for m in range(1, n)]
        with append_lines(path) as file:
            file.write(f'{{"n": {n}}}\n')
    assert list(read_lines(path)) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_a_whole_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2}')
    timings = Timings(path)
    timings.add(n=3)
    timings.close()
    assert list(read_lines(path)) == [{"n": 1}, {"n": 2}, {"n": 3}] and timings.total("n") == 6


def test_the_last_rows_are_those_that_begin_in_the_last_bytes(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [f'{{"n": {10**n}}}\n'.encode() for n in range(5)]
    path.write_bytes(b"".join(lines) + b'{"n": 7')
    for size in range(path.stat().st_size + 3):
        begins = [len(b"".join(lines[n:])) + 7 for n in range(5)]
        expected = [{"n": 10**n} for n, left in enumerate(begins) if left <= size]
        assert list(last_lines(path, size)) == expected
    assert list(last_lines(tmp_path / "none")) == []


def test_json_has_no_nan(tmp_path):
    nan, inf = float("nan"), float("inf")
    write_json(tmp_path / "a.json", {"test": {"loss": nan, "n": 3}, "rows": [1.5, -inf, "x", nan]})
    expected = {"test": {"loss": None, "n": 3}, "rows": [1.5, None, "x", None]}
    assert read_json(tmp_path / "a.json") == expected


def test_checkpoints_are_ordered_by_number(tmp_path):
    # Text has "100000000" before "99999999".
    for step in (99_999_998, 99_999_999, 100_000_000, 1_234_567_890):
        checkpoint.save(tmp_path, step, {"x": np.full(2, step)}, config_hash="h", keep=2)
    step, tree = checkpoint.restore(tmp_path, {"x": np.zeros(2, int)}, config_hash="h")
    assert step == 1_234_567_890 and tree["x"][0] == step
    names = {path.name for path in tmp_path.glob("*.json")}
    assert names == {"step-100000000.json", "step-1234567890.json"}


def test_damaged_timings_are_passed_over_and_sessions_add_up(tmp_path):
    path = tmp_path / "timings.jsonl"
    rows = [
        {"start": 0, "compile_seconds": 1.0},
        {"seconds": 2.0, "evaluation_seconds": "x"},  # then it was killed
        {"start": 5, "compile_seconds": 1.0},
        {"run_seconds": 7.0, "seconds": [1]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    timings = Timings(path)
    assert timings.total("compile_seconds") == 2.0 and timings.run_seconds == 3.0 + 7.0
    timings.close()
