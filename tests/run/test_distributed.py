"""One run in several processes, over loopback: what it trains, saves, logs and reads.

How its processes end together is in `test_together.py`.
"""

import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from processes import AS_A_USER, environment, free_port, outputs, processes_of_a_run

import jaxopt_lab
from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.source import read
from jaxopt_lab.core.errors import DamageWarning, InputError
from jaxopt_lab.core.tree import flatten_with_names
from jaxopt_lab.engine import Batches, OneRun, checkpoint
from jaxopt_lab.run.process import distributed
from jaxopt_lab.run.records.identity import identity_of

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


def together(*arguments, count=2):
    """What the processes of a run have printed, when all have ended well."""
    processes = processes_of_a_run("train", *arguments, count=count)
    out = outputs(processes)
    assert [process.returncode for process in processes] == [0] * count, out
    return out


def checkpoint_steps(folder):
    places = (folder / "checkpoints", folder / "checkpoints" / "latest")  # by steps, by the clock
    return sorted(json.loads(p.read_bytes())["step"] for f in places for p in f.glob("*.json"))


def wait_for_checkpoint(folder, processes, after=0):
    until = time.monotonic() + 120
    while max(checkpoint_steps(folder), default=0) <= after:
        assert time.monotonic() < until and all(p.poll() is None for p in processes)
        time.sleep(0.1)


def logged(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "step" in row]


LONG = 160  # steps: more than are taken before a process is stopped


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
    out = together(parent / "config.toml", "--run-dir", parent / "run")
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


def test_the_report_is_of_parameters_that_are_split_over_the_processes_too(path, tmp_path, run):
    together(path, "--run-dir", tmp_path / "split", "--set", "mesh.shard=full")
    split, copied = tmp_path / "split", run[0]
    losses = [json.loads((f / "summary.json").read_text())["test"]["loss"] for f in (split, copied)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)  # sums over the batch in another order
    for folder in (split, copied):
        assert "The 12 samples of the largest loss" in (folder / "report.html").read_text()


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
    together("--resume", folder)
    assert (folder / "metrics.jsonl").read_text() == log
    assert checkpoint_steps(folder) == [16, 20]
    with pytest.warns(DamageWarning, match="of step 20 is damaged, and that of step 16 is taken"):
        jaxopt_lab.train(None, alone, resume=True, progress=False)
    last = [json.loads((f / "summary.json").read_text())["test"]["loss"] for f in (folder, alone)]
    assert last[0] == pytest.approx(last[1], rel=1e-3)  # sums over the batch in another order


def test_a_run_goes_on_in_fewer_and_in_more_processes(path, tmp_path):
    """In 4 until one is to stop, in 2 until one is killed, in 4 until all are, to the end in 1."""
    # An eps that keeps rounding from being magnified, where gradients are next to nothing.
    adam = CONFIG.replace("momentum", "adam").replace("0.05", "0.001\neps = 0.01")
    path.write_text(adam.replace("steps = 20", f"steps = {LONG}"))
    folder = tmp_path / "run"
    given, saved = (path, "--run-dir", folder), 0
    for count, victims, number in (
        (4, [2], signal.SIGTERM),
        (2, [1], signal.SIGKILL),
        (4, [0, 1, 2, 3], signal.SIGTERM),
    ):
        processes = processes_of_a_run("train", *given, count=count)
        wait_for_checkpoint(folder, processes, after=saved)
        for victim in victims:
            processes[victim].send_signal(number)
        out = outputs(processes)
        before, saved, given = saved, max(checkpoint_steps(folder)), ("--resume", folder)
        assert before < saved < LONG and len(checkpoint_steps(folder)) <= 3
        if number == signal.SIGTERM:
            # All have stopped at one step and saved it, once.
            assert [process.returncode for process in processes] == [130] * count, out
            assert f"interrupted at step {saved}" in out[0]
            assert [row["step"] for row in logged(folder)] == list(range(1, saved + 1))
    jaxopt_lab.train(None, folder, resume=True, progress=False)

    whole = tmp_path / "whole"
    jaxopt_lab.train(path, whole, progress=False)
    rows, expected = logged(folder), logged(whole)
    assert [row["step"] for row in rows] == list(range(1, LONG + 1))
    losses = ([row["loss"] for row in of] for of in (rows, expected))
    np.testing.assert_allclose(*losses, rtol=1e-4)
    ours, theirs = last_state(folder), last_state(whole)
    moments = [name for name in theirs if name.startswith(("opt_state/mean", "opt_state/square"))]
    assert len(moments) == 2 * sum(name.startswith("params") for name in theirs)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-5, err_msg=name)


def last_state(folder):
    """Every leaf of the last checkpoint."""
    config = load_config(folder / "config.toml")
    like = OneRun(assemble(config, read(config))).start()
    found = checkpoint.restore(
        folder / "checkpoints", like, config_hash=identity_of(config, None), step=LONG
    )
    leaves = flatten_with_names(found[1])
    keys = {n: x for n, x in leaves.items() if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)}
    return leaves | {name: jax.random.key_data(key) for name, key in keys.items()}


ROWS, BATCH, STEPS = 101, 20, 12


def test_a_process_reads_its_own_rows_only(path, tmp_path):
    """101 rows in batches of 20: 10 rows of each batch are of process 0, and 10 of process 1."""
    sized = CONFIG.replace("train_size = 512", f"train_size = {ROWS}")
    sized = sized.replace("batch_size = 64", f"batch_size = {BATCH}")
    path.write_text(sized.replace("steps = 20", f"steps = {STEPS}"))
    config = load_config(path)
    port = free_port()
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(tmp_path), str(i), str(port)],
            env=environment(2),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(2)
    ]
    out = outputs(processes)
    assert [process.returncode for process in processes] == [0, 0], out
    read_by = [json.loads((tmp_path / f"{i}.json").read_text()) for i in range(2)]
    key = OneRun(assemble(config, read(config))).start().key
    for step in range(STEPS):
        epoch, place = divmod(step, ROWS // BATCH)
        order = np.asarray(Batches(BATCH).order(key, epoch, ROWS))
        batch = order[place * BATCH :][:BATCH].tolist()
        assert read_by[0][step] == batch[: BATCH // 2]
        assert read_by[1][step] == batch[BATCH // 2 :]
    assert [len(rows) for rows in read_by] == [STEPS, STEPS]


def record_rows(folder, process, port):
    """Trains as one of two processes, and writes which rows of the training split were read."""
    from jaxopt_lab.run.commands import train

    rows = []

    class Recorded(np.ndarray):
        def __getitem__(self, index):
            if isinstance(index, np.ndarray):
                rows.append(index.tolist())
            return np.asarray(self)[index]

    def assembled(config, source, **how):
        experiment = assemble(config, source, **how)
        recorded = experiment.train | {"x": experiment.train["x"].view(Recorded)}
        return experiment._replace(train=recorded)

    distributed.join(f"127.0.0.1:{port}", process, 2)
    train.assemble = assembled
    train.train(folder / "config.toml", progress=False)
    (folder / f"{process}.json").write_text(json.dumps(rows))


def test_processes_that_would_not_train_the_same_are_refused(path, tmp_path):
    """101 rows in one process and 100 in another: they would take other numbers of steps."""
    sizes = [("--set", f"data.train_size={n}", "--set", "data.batch_size=20") for n in (101, 100)]
    given = (path, "--run-dir", tmp_path / "run")
    processes = processes_of_a_run("train", *given, count=2, extra=sizes)
    for out, process in zip(outputs(processes), processes, strict=True):
        assert process.returncode == 2, out
        assert "process 0 has 101 training samples" in out
        assert "process 1 has 100 training samples" in out
    assert not (tmp_path / "run" / "config.toml").exists()


def test_says_what_is_wrong(monkeypatch):
    with pytest.raises(InputError, match="give --coordinator, --process-id and --process-count"):
        distributed.join("127.0.0.1:1", None, 2)
    with pytest.raises(InputError, match="must be in \\[0, --process-count\\), got 2 of 2"):
        distributed.join("127.0.0.1:1", 2, 2)
    with pytest.raises(InputError, match="must be host:port"):
        distributed.join("localhost", 0, 2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"process 0 cannot listen on port {port}"):
            distributed.join(f"127.0.0.1:{port}", 0, 2)
    monkeypatch.setattr(distributed, "PATIENCE_SECONDS", 1)
    with pytest.raises(InputError, match="did not answer within 1 s"):
        distributed.join(f"127.0.0.1:{free_port()}", 1, 2)


TRAP = """
import flax.linen as nn
import jax.numpy as jnp


class Trap(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, x, train=True):
        h = nn.relu(nn.Dense(64, name="first")(x.reshape(len(x), -1)))
        h = nn.Dense(64, name="middle")(h)
        return nn.Dense(self.outputs, name="last")(h + jnp.sqrt(0 * h))


EXTEND = {"model": [Trap]}
"""


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["none", "full"])
@pytest.mark.parametrize(
    ("settings", "step", "what"),
    [
        (["optimizer.learning_rate=1e30", "model.norm=none"], 2, "the output of Dense_1"),
        (['model={name="Trap"}'], 1, "the gradient of middle/"),
    ],
    ids=["forward", "backward"],
)
def test_where_a_run_of_two_processes_is_lost_is_found(tmp_path, path, shard, settings, step, what):
    (tmp_path / "trap.py").write_text(TRAP)
    given = [f"--set={each}" for each in [*settings, f"mesh.shard={shard}"]]
    arguments = [path, "--run-dir", tmp_path / "run", "--module", tmp_path / "trap.py", *given]
    processes = processes_of_a_run("train", *arguments, count=2)
    out = outputs(processes)
    assert [process.returncode for process in processes] == [1, 1], out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["stopped_by"] == "diverged"
    assert summary["not_finite"]["step"] == step
    assert summary["not_finite"]["what"].startswith(what)


SHORT = "from jaxopt_lab.run.process import distributed; distributed.PATIENCE_SECONDS = 1;"


def test_a_run_whose_other_processes_never_come_ends_with_a_message(path):
    first, second = processes_of_a_run("train", path, count=2, before=SHORT)
    second.kill()
    out, _ = outputs([first, second])
    assert first.returncode == 2
    assert "did not find each other within 1 s, this one as process 0 of 2" in out
    assert "compiling" not in out and "Check failure" not in out


def test_what_slurm_says_is_told_where_its_coordinator_does_not_answer(path):
    slurm = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_NODELIST": "127.0.0.1",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": "1",
        "SLURM_LOCALID": "0",
    }
    command = [sys.executable, "-c", SHORT + AS_A_USER, "train", str(path), "--distributed"]
    done = subprocess.run(
        command, env=environment() | slurm, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "within 1 s, this one with SLURM_JOB_ID=7 SLURM_STEP_NODELIST=127.0.0.1" in done.stderr


if __name__ == "__main__":
    record_rows(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
