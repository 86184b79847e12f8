"""A folder that is streamed: the run of the same folder in memory, to the byte."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
from PIL import Image
from processes import AS_A_USER, environment

import jaxopt_lab
from jaxopt_lab import data
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.rows import Rows, is_lazy, workers_of
from jaxopt_lab.data import splitting
from jaxopt_lab.engine import Batches
from jaxopt_lab.engine.from_host import FromHost
from jaxopt_lab.run.records.run_writer import RunWriter
from jaxopt_lab.run.terminal.progress import wait_in_words

CONFIG = """
[data]
name = "image_folder"
path = "images"
batch_size = 16
validation = 0.2
[model]
name = "{model}"
[optimizer]
name = "adam"
learning_rate = 0.01
[train]
steps = 20
evaluate_every = 5
checkpoint_every = 7
"""
STREAM = "data.stream=true"


@pytest.fixture(name="home")
def _home(tmp_path, monkeypatch):
    digits = data.digits().train
    for i in range(140):
        path = tmp_path / "images" / f"digit_{digits['y'][i]}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits["x"][i, ..., 0]).save(path)
    (tmp_path / "own.toml").write_text(CONFIG.format(model="mlp"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxopt_lab.run.commands.train.write_report", lambda *given: None)
    return tmp_path


def train(folder, *overrides, **how):
    config = jaxopt_lab.load_config("own.toml", overrides)
    return jaxopt_lab.train(config, folder, progress=False, **how)


def contents(folder):
    """What a run leaves that no clock has touched."""
    files = [folder / "metrics.jsonl", *sorted((folder / "checkpoints").iterdir())]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_streamed_and_in_memory_give_the_same_bytes_and_either_goes_on_as_the_other(home):
    plain = train(home / "plain")
    assert plain.summary["data_wait_seconds"] == 0
    streamed = train(home / "streamed", STREAM, "data.workers=0")
    assert contents(home / "streamed") == contents(home / "plain")
    assert streamed.test == plain.test
    assert (home / "streamed/split.json").read_bytes() == (home / "plain/split.json").read_bytes()
    rows = map(json.loads, (home / "streamed/timings.jsonl").read_text().splitlines())
    waited = sum(row.get("data_wait_seconds", 0) for row in rows)
    assert streamed.summary["data_wait_seconds"] == pytest.approx(waited, abs=1e-3)
    # Step 14 is in the middle of an epoch of 6 steps, and the run is of 20.
    train(home / "plain", STREAM, "data.workers=0", resume=True, from_step=14)
    train(home / "streamed", resume=True, from_step=14)
    assert contents(home / "streamed") == contents(home / "plain")


def test_held_out_images_are_decoded_once_unless_they_are_many(home, monkeypatch):
    config = jaxopt_lab.load_config("own.toml", [STREAM, "data.workers=0"])
    source = read(config)
    assert workers_of(source.train["x"]) == 0
    for part in (source.validation, source.test, source.train_sample):
        assert not is_lazy(part["x"])
    plain = jaxopt_lab.train(config, progress=False)
    monkeypatch.setattr(splitting, "IN_MEMORY", 0)
    source = read(config)
    for part in (source.validation, source.test, source.train_sample):
        assert workers_of(part["x"]) == 0
    many = jaxopt_lab.train(config, progress=False)
    for name, column in plain.history.items():
        np.testing.assert_allclose(many.history[name], column, rtol=1e-5, err_msg=name)


def test_what_the_folder_says_is_the_same(home):
    for name, content in (("digit_1/no.png", b"none"), ("digit_2/cut.png", None)):
        source = next((home / "images/digit_2").iterdir())
        (home / "images" / name).write_bytes(content or source.read_bytes()[:-30])
    how = {"unreadable": "skip", "group": r"(\d+)\.png|no|cut"}
    plain = data.image_folder("images", **how)
    found = data.image_folder("images", stream=True, workers=0, **how)
    for name in ("classes", "train_names", "test_names", "ordered", "fingerprint", "notes"):
        assert getattr(found, name) == getattr(plain, name), name
    assert set(found.train) == set(plain.train) == {"x", "y", "group"}
    for name, values in plain.train.items():
        np.testing.assert_array_equal(np.asarray(found.train[name]), values)
    with pytest.raises(InputError, match=r"1 file cannot be read: digit_1/no\.png"):
        data.image_folder("images", stream=True, workers=0)


def test_images_of_several_sizes_are_told_when_they_are_read(home):
    Image.new("L", (3, 5)).save(home / "images/digit_9/odd.png")
    told = []
    for stream in (False, True):
        with pytest.raises(InputError, match=r"8 x 8, digit_9/odd\.png is 5 x 3") as error:
            np.asarray(data.image_folder("images", stream=stream, workers=0).train["x"])
        told.append(str(error.value))
    assert told[0] == told[1]
    images = data.image_folder("images", stream=True, workers=0, size=6).train["x"]
    np.testing.assert_array_equal(images[...], data.image_folder("images", size=6).train["x"])


def test_a_file_that_is_damaged_later_ends_the_run_with_its_name(home, monkeypatch):
    save = RunWriter.save_step

    def save_and_damage(writer, state):
        save(writer, state)
        for file in (home / "images").rglob("*.png"):
            file.write_bytes(file.read_bytes()[:60])

    monkeypatch.setattr(RunWriter, "save_step", save_and_damage)
    with pytest.raises(InputError, match=r"digit_\d/\d+\.png in .*images cannot be read"):
        train(home / "run", STREAM, "data.workers=0")
    assert (home / "run/checkpoints/step-00000007.npz").exists()


def test_the_wait_for_data_is_that_of_a_device_with_nothing_to_do():
    class Slow:
        workers, dtype, shape = 0, np.dtype(np.uint8), (12, 2)

        def __len__(self):
            return 12

        def __getitem__(self, rows):
            time.sleep(0.03)
            return np.zeros((*np.shape(rows), 2), np.uint8)

    y = np.arange(12)
    for source, low, high in ((Slow(), 0.06, 10), (np.zeros((12, 2), np.uint8), 0, 0.05)):
        host = FromHost({"x": Rows(source), "y": y}, Batches(4), total=3)
        batches = [host.batch(k, lambda epoch: y[::-1], busy=()) for k in range(3)]
        assert host.batch(2, lambda epoch: y, busy=()) is batches[2]  # measured, then trained on
        np.testing.assert_array_equal(np.concatenate([b["y"] for b in batches]), y[::-1])
        host.close()
        assert low <= host.waited <= high
    assert wait_in_words(1, 2) == "waits for data 50%" and not wait_in_words(0.1, 2)


def test_a_sweep_refuses_what_is_streamed(home):
    tables = tomllib.loads((home / "own.toml").read_text())
    tables["data"] |= {"path": str(home / "images"), "stream": True, "workers": 0}
    plan = parse_sweep({**tables, "sweep": {"seeds": 2}})
    with pytest.raises(InputError, match=r"x, .* is streamed: .* leave out data\.stream"):
        jaxopt_lab.sweep(plan, progress=False)


def as_a_user(*arguments, **how):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", AS_A_USER, *map(str, arguments)],
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **how,
    )


def children(pid):
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]


def goes_on(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return ") Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    return False


def gone(pids, seconds=5.0):
    end = time.monotonic() + seconds
    while any(map(goes_on, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    return not any(map(goes_on, pids))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_any_number_of_workers_gives_the_same_bytes(home, model):
    (home / "own.toml").write_text(CONFIG.format(model=model))
    train(home / "plain")
    for workers in (1, 2, 3):
        train(home / f"by{workers}", STREAM, f"data.workers={workers}")
        assert contents(home / f"by{workers}") == contents(home / "plain"), workers


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_leaves_no_workers_and_goes_on_to_the_same_bytes(home, how):
    long = ["train.steps=1000", "train.evaluate_every=500", "train.checkpoint_every=100"]
    train(home / "plain", *long)
    options = [f"--set={text}" for text in (*long, STREAM, "data.workers=2")]
    process = as_a_user("train", "own.toml", "--run-dir", "run", *options)
    first = iter(process.stdout)
    assert any(line.startswith("epoch") for line in first)
    workers = children(process.pid)
    assert len(workers) >= 2
    if how == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, how)  # as a terminal does
    text, _ = process.communicate(timeout=60)
    assert process.returncode == (-how if how == signal.SIGKILL else 130), text
    assert "Traceback" not in text
    assert gone(workers)
    shutil.copytree(home / "run", home / "copy")
    for folder, count in (("run", 1), ("copy", 0)):
        resumed = as_a_user("train", "--resume", folder, f"--set=data.workers={count}")
        text, _ = resumed.communicate(timeout=120)
        assert resumed.returncode == 0, text
        assert re.search(r"going on from|starting over", text)
        assert contents(home / folder) == contents(home / "plain")
