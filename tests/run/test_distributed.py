"""One run in two processes of two devices each, over loopback."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from processes import environment

import jaxopt_lab
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.process import distributed

CONFIG = """
[data]
name = "digits"
batch_size = 64
train_size = 512
[model]
name = "mlp"
hidden = [16]
norm = "batch"
[optimizer]
name = "momentum"
learning_rate = 0.05
[train]
steps = 20
evaluate_every = 8
checkpoint_every = 8
"""


def start(*arguments, process, port):
    """A process of the run, as a user starts it."""
    ranks = ["--coordinator", f"127.0.0.1:{port}", "--process-id", str(process)]
    options = ["--distributed", *ranks, "--process-count", "2", "--devices", "2"]
    return subprocess.Popen(
        [sys.executable, "-m", "jaxopt_lab.cli", "train", *arguments, *options],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def both(*arguments):
    """What processes 0 and 1 of a run have printed, when both have ended well."""
    port = free_port()
    processes = [start(*arguments, process=i, port=port) for i in (0, 1)]
    out = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], out
    return out


def checkpoint_steps(folder):
    return sorted(json.loads(p.read_bytes())["step"] for p in folder.glob("checkpoints/*.json"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(name="path")
def _path(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory):
    """The folder of a run of two processes, and what they printed."""
    parent = tmp_path_factory.mktemp("two")
    (parent / "config.toml").write_text(CONFIG)
    out = both(str(parent / "config.toml"), "--run-dir", str(parent / "run"))
    return parent / "run", out


def test_two_processes_train_the_run_of_one(path, run):
    folder, out = run
    assert "finished" in out[0] and "finished" not in out[1], "process 0 alone speaks"
    alone = jaxopt_lab.train(path, progress=False)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "step" in row]
    # Sums over the batch are taken in another order.
    np.testing.assert_allclose(losses, alone.history["loss"], rtol=1e-4)
    val = [row["val_loss"] for row in rows if "eval_step" in row]
    np.testing.assert_allclose(val, alone.history["val_loss"], rtol=1e-3)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test"]["accuracy"] == pytest.approx(float(alone.test["accuracy"]), abs=0.01)
    assert checkpoint_steps(folder) == [16, 20]


def test_two_processes_go_on_from_the_checkpoint_that_they_wrote_and_one_can_too(run, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "run")
    log = (folder / "metrics.jsonl").read_text()
    newest = folder / "checkpoints" / "step-00000020"
    largest = max((p for p in newest.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    alone = shutil.copytree(folder, tmp_path / "alone")
    # Step 20 is damaged: both go back to step 16, and come to where they were.
    both("--resume", str(folder))
    assert (folder / "metrics.jsonl").read_text() == log
    assert checkpoint_steps(folder) == [16, 20]
    jaxopt_lab.train(None, alone, resume=True, progress=False)
    last = [json.loads((f / "summary.json").read_text())["test"]["loss"] for f in (folder, alone)]
    assert last[0] == pytest.approx(last[1], rel=1e-3)  # sums over the batch in another order


def test_a_killed_process_ends_the_other_with_a_message(path, tmp_path):
    folder, port = tmp_path / "run", free_port()
    long = ["--run-dir", str(folder), "--set", "train.steps=1000000"]
    # All processes save together, because of the clock of the first.
    long += ["--set", "train.checkpoint_every=1000000", "--set", "train.checkpoint_seconds=0.01"]
    other, first = (start(str(path), *long, process=i, port=port) for i in (1, 0))
    try:
        until = time.monotonic() + 120
        while not list(folder.glob("checkpoints/latest/*.json")):
            assert time.monotonic() < until and first.poll() is None
            time.sleep(0.2)
        other.send_signal(signal.SIGKILL)
        began = time.monotonic()
        out = first.communicate(timeout=90)[0]
        assert time.monotonic() - began < 60
        assert first.returncode != 0
        assert f"--resume {folder}" in out or "heartbeat" in out.lower(), out
        assert jaxopt_lab.load_run(folder).step > 0, "what was saved is kept"
    finally:
        for process in (other, first):
            process.kill()
            process.communicate()


def test_says_what_is_wrong(monkeypatch):
    with pytest.raises(InputError, match="give --coordinator, --process-id and --process-count"):
        distributed.join("127.0.0.1:1", None, 2)
    with pytest.raises(InputError, match="must be in \\[0, --process-count\\), got 2 of 2"):
        distributed.join("127.0.0.1:1", 2, 2)
    with pytest.raises(InputError, match="must be host:port"):
        distributed.join("localhost", 0, 2)
    monkeypatch.setattr(distributed, "PATIENCE_SECONDS", 1)
    with pytest.raises(InputError, match="did not answer within 1 s"):
        distributed.join(f"127.0.0.1:{free_port()}", 1, 2)
