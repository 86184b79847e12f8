"""The processes of one run end together: one is killed, stopped, stuck or refused."""

import json
import os
import pathlib
import signal
import socket
import time

import pytest
from processes import outputs, processes_of_a_run

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.process import companion, together
from jaxopt_lab.run.process.companion import Seen, judge

CONFIG = """
[data]
name = "digits"
batch_size = 64
train_size = 512
[model]
name = "mlp"
hidden = [16]
[optimizer]
name = "sgd"
learning_rate = 0.05
[train]
steps = 1000000
evaluate_every = 16
checkpoint_every = 16
"""


def says(i, **more):
    return {"name": f"process {i}", "waits": True, "at": f"line {i}", "progress": 3} | more


def ended(why, code=1, well=False):
    return {"well": well, "why": why, "code": code}


@pytest.mark.parametrize(
    ("said", "since", "idle", "verdict"),
    [
        ({0: {}, 1: {}}, {}, 0, None),
        ({0: {}, 1: {}}, {1: 31}, 0, ("process 1 has been silent for 30 s", 1)),
        ({0: {}, 1: {}}, {1: 29}, 0, None),
        # One that has left well is not silent, one that has not left well ends the others.
        ({0: {}, 1: {"ended": ended(None, 0, well=True)}}, {1: 99}, 0, None),
        ({0: {}, 1: {"ended": ended("was killed")}}, {}, 0, ("process 1 was killed", 1)),
        ({0: {}, 1: {"ended": ended("refused: x", 2)}}, {}, 0, ("process 1 refused: x", 2)),
        # What was said first counts: silence may be of those that it has ended.
        ({0: {}, 1: {"ended": ended("was killed")}, 2: {}}, {2: 31}, 0, ("process 1 was", 1)),
        # The first process sees all.
        ({0: {"over": ["process 7 was killed", 1]}}, {0: 31}, 0, ("process 7 was killed", 1)),
        # Stuck: those that do not wait are told, or all where all do.
        ({0: {}, 1: {"waits": False}}, {}, 61, ("got on for 60 s: process 1 is busy at line 1", 1)),
        ({0: {}, 1: {}}, {}, 61, ("process 0 waits at line 0; process 1 waits at line 1", 1)),
        ({0: {"progress": 0}, 1: {"progress": 0}}, {}, 61, None),  # compiling
    ],
)
def test_a_verdict_names_who_has_ended_the_run(said, since, idle, verdict):
    now = 1000.0
    seen = {i: Seen(says(i, **more), now - since.get(i, 0)) for i, more in said.items()}
    found = judge(seen, now, idle, stuck=60.0)
    if verdict is None:
        assert found is None
    else:
        assert verdict[0] in found.text
        assert found.code == verdict[1]


def test_a_file_that_changes_or_is_being_written_is_not_silent(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(companion.time, "monotonic", lambda: clock[0])
    first, second = (companion.Board(tmp_path, i, 2) for i in (0, 1))
    for beat in range(10):
        clock[0] += 20
        first.write(says(0, beat=beat))
        second.write(says(1, beat=beat))
        assert first.judge(1e9) is None
        assert second.judge(1e9) is None
    clock[0] += 20
    first.write(says(0, beat=11))
    (tmp_path / "1.json").write_text('{"name": "pro')
    assert first.judge(1e9) is None
    clock[0] += 20
    first.write(says(0, beat=12))
    assert first.judge(1e9).text.startswith("process 1 has been silent")
    assert second.judge(1e9) is None, "it looks at process 0 only"


def test_where_a_thread_is():
    import threading

    here = threading.get_ident()
    found = together._where(here)
    assert found["at"].startswith(f"{together.__file__}:") and not found["waits"]


def test_the_time_that_a_run_may_be_stuck_is_a_number(monkeypatch):
    monkeypatch.setenv(together.ENVIRONMENT_VARIABLE, "2.5")
    assert together.stuck_seconds() == 2.5
    for text in ("soon", "0", "nan"):
        monkeypatch.setenv(together.ENVIRONMENT_VARIABLE, text)
        with pytest.raises(InputError, match=f"JAXOPT_LAB_STUCK_SECONDS must be .* got '{text}'"):
            together.stuck_seconds()


@pytest.fixture(name="started")
def _started(tmp_path):
    """Starts a long run, and waits for its first checkpoint."""
    path, folder = tmp_path / "config.toml", tmp_path / "run"
    path.write_text(CONFIG)

    def start(count, **how):
        processes = processes_of_a_run("train", path, "--run-dir", folder, count=count, **how)
        until = time.monotonic() + 120
        while not list(folder.glob("checkpoints/*.json")):
            assert time.monotonic() < until and all(p.poll() is None for p in processes)
            time.sleep(0.2)
        return folder, processes

    return start


@pytest.mark.parametrize(
    ("number", "victim", "count", "why"),
    [
        (signal.SIGKILL, 2, 4, "was killed or has crashed"),
        (signal.SIGKILL, 0, 2, "was killed or has crashed"),
        (signal.SIGSTOP, 1, 2, "has been silent for 30 s"),
        (signal.SIGSTOP, 0, 2, "has been silent for 30 s"),
    ],
)
def test_one_that_is_gone_ends_all_within_a_minute_and_is_named(
    started, number, victim, count, why
):
    folder, processes = started(count)
    processes[victim].send_signal(number)
    began = time.monotonic()
    out = outputs(processes)
    assert time.monotonic() - began < 60
    assert all(process.returncode for process in processes)
    for text in out:
        assert f"process {victim} of {count} (" in text, text
        assert f"pid {processes[victim].pid}) {why}" in text
        assert f"what was saved is kept: go on with --resume {folder}" in text
    manifests = list(folder.glob("checkpoints/*.json"))
    assert all(json.loads(path.read_bytes())["step"] % 16 == 0 for path in manifests)
    assert not (folder / ".processes").exists()


def test_a_host_that_is_gone_with_its_companion_is_named_by_its_silence(started):
    _, processes = started(2)
    pid = processes[0].pid
    (own,) = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    began = time.monotonic()
    for gone in (int(own), pid):
        os.kill(gone, signal.SIGKILL)
    out = outputs(processes)
    assert time.monotonic() - began < 60
    assert f"process 0 of 2 ({socket.gethostname()}, pid {pid}) has been silent" in out[1]


# Process 1 has the run's folder elsewhere, as on a host without the file system of the others.
ELSEWHERE = """
import os, sys
from jaxopt_lab.run.process import distributed
first = distributed.from_first
distributed.from_first = lambda make: first(make) / ("mine" if "1" in sys.argv[-5:] else "")
"""


def test_a_folder_that_not_all_see_is_refused(tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG)
    given = ("train", tmp_path / "config.toml", "--run-dir", tmp_path / "run")
    processes = processes_of_a_run(*given, count=2, before=ELSEWHERE)
    for text, process in zip(outputs(processes), processes, strict=True):
        assert process.returncode == 2, text
        assert "--run-dir must be on a file system that all processes of the run see" in text
        assert "compiling" not in text and "killed" not in text


def test_sigterm_before_there_is_anything_to_save_ends_all(tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG)
    given = ("train", tmp_path / "config.toml", "--run-dir", tmp_path / "run")
    processes = processes_of_a_run(*given, count=2)
    while "compiling" not in processes[0].stdout.readline():
        assert processes[0].poll() is None
    processes[1].send_signal(signal.SIGTERM)
    first, second = outputs(processes)
    assert [process.returncode for process in processes] == [130, 130], first + second
    assert f"pid {processes[1].pid}) was interrupted and has not saved" in first
    assert "aborted" in second


STUCK = "import signal, time; signal.signal(signal.SIGUSR1, lambda *_: time.sleep(1e6));"


def test_one_that_lives_and_is_stuck_ends_all_and_is_named(started):
    _, processes = started(2, before=STUCK, JAXOPT_LAB_STUCK_SECONDS="8")
    processes[1].send_signal(signal.SIGUSR1)
    began = time.monotonic()
    for text, process in zip(outputs(processes), processes, strict=True):
        assert process.returncode == 1
        assert "no process has got on for 8 s: process 1 of 2 (" in text
        assert f"pid {processes[1].pid}) is busy at <string>:1, <lambda>; what was saved" in text
        assert "process 0 of 2" not in text
    assert time.monotonic() - began < 60


def test_what_one_refuses_ends_all_with_its_message(tmp_path):
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text("another run")
    given = ("train", tmp_path / "config.toml", "--run-dir", tmp_path / "run")
    processes = processes_of_a_run(*given, count=2)
    first, second = outputs(processes)
    assert [process.returncode for process in processes] == [2, 2]
    assert f"{tmp_path / 'run'} already holds a run" in first
    assert "process 0 of 2 (" in second
    assert f"refused: {tmp_path / 'run'} already holds a run" in second
    assert (tmp_path / "run" / "config.toml").read_text() == "another run"
    for text in (first, second):
        assert "Traceback" not in text and "Check failure" not in text
