"""Training as a user calls it from Python: the result, the folder, resuming, refusing."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxopt_lab
from jaxopt_lab import cli
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import DamageWarning, InputError
from jaxopt_lab.core.files import lock
from jaxopt_lab.core.tree import all_finite
from jaxopt_lab.run.records.run_writer import RunWriter
from jaxopt_lab.run.terminal import progress

CONFIG = """
[data]
name = "digits"
batch_size = 128
validation = 0.15
[model]
name = "mlp"
hidden = [32]
dropout = 0.1
[optimizer]
name = "adam"
learning_rate = 0.02
[schedule]
name = "cosine_decay"
[train]
epochs = 6
checkpoint_every = "1 epoch"
"""


@pytest.fixture(name="config")
def _config(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return jaxopt_lab.load_config(path)


def contents(folder):
    """What must not differ between two runs: the log and the last checkpoint, to the byte."""
    last = sorted((folder / "checkpoints").glob("*.npz"))[-1]
    return (folder / "metrics.jsonl").read_bytes(), last.name, last.read_bytes()


def interrupted_after(monkeypatch, step):
    """Send this process a real Ctrl-C as soon as the bar has passed `step`."""
    update = progress.Bar.update

    def update_and_interrupt(self, chunk):
        update(self, chunk)
        if chunk.end >= step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(progress.Bar, "update", update_and_interrupt)


def test_learns_and_returns_what_it_did(config, tmp_path):
    result = jaxopt_lab.train(config, tmp_path / "run", progress=False)
    assert result.stopped_by == "finished"
    assert result.test["accuracy"] > 0.9
    assert set(result.history) == {
        *("step", "loss", "accuracy", "learning_rate"),
        *("eval_step", "val_loss", "val_accuracy", "train_loss", "train_accuracy"),
    }
    np.testing.assert_array_equal(result.history["step"], np.arange(1, 55))
    np.testing.assert_array_equal(result.history["eval_step"], np.arange(9, 55, 9))
    expected = 0.02 * optax.cosine_decay_schedule(1.0, 54)(np.arange(54))
    np.testing.assert_allclose(result.history["learning_rate"], expected, rtol=1e-5, atol=1e-9)

    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {
        "test",
        "steps",
        "steps_per_second",
        "compile_seconds",
        "run_seconds",
        "stopped_by",
    } <= set(summary)
    assert summary["test"]["accuracy"] == result.test["accuracy"]
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names >= {"config.toml", "metrics.jsonl", "timings.jsonl", "summary.json", "report.html"}
    assert len(list((tmp_path / "run" / "plots").glob("*.png"))) == 4
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4 + 12  # with the worst samples
    assert "http" not in page.replace("http-equiv", "")
    assert "second" not in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_without_a_folder_nothing_is_written(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    result = jaxopt_lab.train(config, progress=False)
    assert result.run_dir is None and result.stopped_by == "finished"
    assert set(tmp_path.iterdir()) == before


CONTROLS = """
[[control]]
name = "plateau_learning_rate"
patience = 1
[[control]]
name = "weight_ema"
[[control]]
name = "early_stopping"
patience = 50
[[augment]]
name = "random_crop"
padding = 1
"""


@pytest.mark.parametrize("steps_per_dispatch", ["auto", 1, 4])
def test_an_interrupted_run_resumes_to_the_same_bytes(tmp_path, monkeypatch, steps_per_dispatch):
    (tmp_path / "config.toml").write_text(CONFIG + CONTROLS)
    config = jaxopt_lab.load_config(
        tmp_path / "config.toml", [f"train.steps_per_dispatch={steps_per_dispatch}"]
    )
    whole = jaxopt_lab.train(config, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch:
        interrupted_after(patch, 12)
        first = jaxopt_lab.train(config, tmp_path / "parts", progress=False)
    assert first.stopped_by == "interrupted" and first.test == {}
    assert 12 <= first.summary["steps"] < 54
    # What a killed process may leave behind: rows past the checkpoint, the last not whole.
    with open(tmp_path / "parts" / "metrics.jsonl", "a") as log:
        log.write('{"step": 53, "loss": 1.0}\n{"step": 5')
    second = jaxopt_lab.train(None, tmp_path / "parts", resume=True, progress=False)
    assert second.stopped_by == "finished"
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    for name, column in whole.history.items():
        np.testing.assert_array_equal(second.history[name], column)
    jax.tree.map(np.testing.assert_array_equal, second.params, whole.params)
    assert second.test == whole.test


def test_a_finished_run_resumes_to_the_same_result(config, tmp_path):
    first = jaxopt_lab.train(config, tmp_path / "run", progress=False)
    before = contents(tmp_path / "run")
    again = jaxopt_lab.train(None, tmp_path / "run", resume=True, progress=False)
    assert again.test == first.test
    assert contents(tmp_path / "run") == before


def test_a_killed_run_resumes_to_the_same_bytes(config, tmp_path):
    overrides = ["--set", "train.epochs=120", "--set", "train.steps_per_dispatch=1"]
    config = jaxopt_lab.load_config(
        tmp_path / "config.toml", ["train.epochs=120", "train.steps_per_dispatch=1"]
    )
    run = tmp_path / "killed"
    command = [sys.executable, "-m", "jaxopt_lab.cli", "train", str(tmp_path / "config.toml")]
    process = subprocess.Popen(
        [*command, *overrides, "--run-dir", str(run)],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "0"},
    )
    deadline = time.monotonic() + 120
    while not list(run.glob("checkpoints/*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (run / "summary.json").exists(), "it was meant to be killed before it ended"
    jaxopt_lab.train(None, run, resume=True, progress=False)
    jaxopt_lab.train(config, tmp_path / "whole", progress=False)
    assert contents(run) == contents(tmp_path / "whole")


def test_damaged_checkpoints_are_refused_and_nothing_is_lost(config, tmp_path):
    jaxopt_lab.train(config, tmp_path / "run", progress=False)
    rows = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    for path in (tmp_path / "run" / "checkpoints").glob("*.npz"):
        path.write_bytes(b"damaged")
    with pytest.raises(InputError, match="they are damaged: step-00000054"):
        jaxopt_lab.train(None, tmp_path / "run", resume=True, progress=False)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == rows


def test_a_run_goes_on_from_the_step_that_is_asked_for_and_says_which(config, tmp_path, capsys):
    run = tmp_path / "run"
    jaxopt_lab.train(config, run, progress=False)
    before = contents(run)
    with pytest.raises(InputError, match="holds no checkpoint of step 3; there are: 54, 45"):
        jaxopt_lab.train(None, run, resume=True, from_step=3, progress=False)
    with pytest.raises(InputError, match="give resume=True"):
        jaxopt_lab.train(config, tmp_path / "new", from_step=45, progress=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWriter, "keep", lambda *_: pytest.fail("stopped before its end"))
        with pytest.raises(BaseException, match="stopped before its end"):
            jaxopt_lab.train(None, run, resume=True, from_step=45)
    assert "going on from step 45, as asked" in capsys.readouterr().out
    # The end that it had come to is not taken for that of the run which goes on.
    assert jaxopt_lab.load_run(run).why.startswith("step 54, the newest checkpoint; the run has")
    next((run / "checkpoints").glob("*54.npz")).write_bytes(b"damaged")
    lost = "checkpoint of step 54 is damaged, and that of step 45 is taken: the steps after it"
    with pytest.warns(DamageWarning, match=lost):
        found = jaxopt_lab.load_run(run)
    assert found.step == 45 and "the newest whole checkpoint" in found.why
    with pytest.warns(DamageWarning, match=lost):
        jaxopt_lab.train(None, run, resume=True)
    assert "from step 45, the newest whole checkpoint" in " ".join(capsys.readouterr().out.split())
    assert contents(run) == before
    found = jaxopt_lab.load_run(run)
    assert (found.step, found.state) == (54, None)
    assert found.why == "step 54, the last that it kept; the run finished at step 54"


def test_a_run_without_a_checkpoint_yet_starts_over(config, tmp_path):
    jaxopt_lab.train(config, tmp_path / "run", progress=False)
    before = contents(tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    jaxopt_lab.train(None, tmp_path / "run", resume=True, progress=False)
    assert contents(tmp_path / "run") == before


def test_a_folder_in_use_is_refused(config, tmp_path):
    (tmp_path / "run").mkdir()
    with open(tmp_path / "run" / ".lock", "w") as file:
        assert lock(file)
        with pytest.raises(InputError, match="in use by another run"):
            jaxopt_lab.train(config, tmp_path / "run", progress=False)


def test_a_folder_with_another_run_is_refused(config, tmp_path):
    jaxopt_lab.train(config, tmp_path / "run", progress=False)
    before = contents(tmp_path / "run")
    with pytest.raises(InputError, match="already holds a run"):
        jaxopt_lab.train(config, tmp_path / "run", progress=False)
    other = jaxopt_lab.load_config(tmp_path / "config.toml", ["model.hidden=[8]"])
    with pytest.raises(InputError, match="another configuration"):
        jaxopt_lab.train(other, tmp_path / "run", resume=True, progress=False)
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_nothing_to_resume(tmp_path, kind):
    path = tmp_path / "run"
    if kind == "empty":
        path.mkdir()
    elif kind == "file":
        path.write_text("x")
    with pytest.raises(InputError, match="no run to resume"):
        jaxopt_lab.train(None, path, resume=True, progress=False)


def test_a_diverging_run_stops_and_says_so(config, tmp_path):
    wild = jaxopt_lab.load_config(
        tmp_path / "config.toml",
        ["optimizer.name=sgd", "optimizer.learning_rate=1e30", "train.epochs=500"],
    )
    result = jaxopt_lab.train(wild, tmp_path / "run", progress=False)
    assert result.stopped_by == "diverged"
    assert result.summary["steps"] < 4500
    assert math.isnan(result.history["loss"][-1])
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_run_whose_loss_explodes_has_diverged_though_it_is_finite(tmp_path, capsys):
    tables = {
        "data": {"name": "digits", "batch_size": 128, "validation": 0.15},
        "model": {"name": "linear"},
        "optimizer": {"name": "sgd", "learning_rate": 1e6},
        "train": {"steps": 20},
    }
    result = jaxopt_lab.train(parse_config(tables), tmp_path / "run")
    assert np.isfinite(result.history["loss"]).all() and all_finite(result.params)
    assert result.stopped_by == "diverged" and result.test == {}
    said = " ".join(capsys.readouterr().out.split())
    assert "diverged at or before step 20: The loss" in said
    assert "Try a smaller learning rate" in said
    command = ["train", str(tmp_path / "run" / "config.toml"), "--run-dir", str(tmp_path / "again")]
    assert cli.main(command) == 1


@pytest.mark.parametrize("good_steps", [12, 1])
def test_a_diverging_run_keeps_its_best(tmp_path, good_steps):
    """Where an evaluation found one; with statistics of its own though the last ones are NaN."""
    tables = {
        "data": {"name": "digits", "batch_size": 128, "validation": 0.15},
        "model": {"name": "mlp", "hidden": [8], "norm": "batch"},
        "optimizer": {"name": "sgd", "learning_rate": 1.0},
        "schedule": [
            {"name": "constant", "steps": good_steps},
            {"name": "constant", "peak": 1e38},
        ],
        "control": [{"name": "early_stopping", "patience": 99}],
        "train": {"steps": 40, "evaluate_every": 4},
    }
    result = jaxopt_lab.train(parse_config(tables), tmp_path / "run", progress=False)
    assert result.stopped_by == "diverged"
    if good_steps < 4:
        assert result.test == {} and "kept" not in result.summary
        return
    assert (result.summary["kept"], result.summary["kept_step"]) == ("best", 12)
    assert set(result.summary["tests"]) == {"best"}
    assert all_finite((result.params, result.model_state))
    assert result.test["accuracy"] > 0.5
    found = jaxopt_lab.load_run(tmp_path / "run")
    assert (found.kept, found.step) == ("best", 12) and "diverged at or before" in found.why
    jax.tree.map(np.testing.assert_array_equal, found.params, result.params)
    plan = parse_sweep(tables | {"sweep": {"seeds": 2}})
    swept = jaxopt_lab.sweep(plan, progress=False).runs[0]
    assert swept.stopped_by == "diverged"
    np.testing.assert_allclose(swept.test["loss"], result.test["loss"], rtol=1e-4)


class PlainCNN(nn.Module):
    """A user's own model, with XLA's own convolution gradients."""

    @nn.compact
    def __call__(self, x, *, train=False):
        del train
        return nn.Dense(10)(nn.relu(nn.Conv(4, (3, 3))(x)).mean((1, 2)))


def test_a_users_own_model_is_dispatched_step_by_step_where_loops_are_slow(config, capsys):
    result = jaxopt_lab.train(config, model=PlainCNN())
    assert result.stopped_by == "finished"
    assert result.history["loss"][-1] < result.history["loss"][0]
    how = "one step a dispatch" if jax.default_backend() == "cpu" else "compiled loop"
    assert how in capsys.readouterr().out


class Sized(PlainCNN):
    """A model whose number of outputs is its own."""

    outputs: int = 10

    @nn.compact
    def __call__(self, x, *, train=False):
        del train
        return nn.Dense(self.outputs)(x.reshape(len(x), -1))


class OfTwo(nn.Module):
    @nn.compact
    def __call__(self, x, mask):
        return nn.Dense(10)(x.reshape(len(x), -1))


class Bare:
    """Any object with `init` and `apply`; its repr holds an address."""

    model = Sized()

    def init(self, rngs, x, *, train=False):
        return self.model.init(rngs, x, train=train)

    def apply(self, variables, x, **rest):
        return self.model.apply(variables, x, **rest)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Sized(outputs=7), r"expected outputs of shape \(128, 10\)"),
        (OfTwo(), "OfTwo failed on inputs .* it needs init"),
        (Sized, "must be an object with init"),
        ("mlp", "'mlp' must be an object with init"),
    ],
)
def test_a_users_model_that_cannot_be_trained_is_told_before_a_run_begins(
    config, tmp_path, model, text
):
    with pytest.raises(InputError, match=text):
        jaxopt_lab.train(config, tmp_path / "run", model=model, progress=False)
    assert not (tmp_path / "run" / "config.toml").exists()


class Untold(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(x.reshape(len(x), -1))


def test_a_users_model_need_not_be_told_to_train(config):
    tables = [jaxopt_lab.train(config, model=m, progress=False) for m in (Untold(), Sized())]
    assert tables[0].test == tables[1].test


def test_a_users_model_resumes_whatever_its_address(config, tmp_path):
    first = jaxopt_lab.train(config, tmp_path / "run", model=Bare(), progress=False)
    again = jaxopt_lab.train(None, tmp_path / "run", model=Bare(), resume=True, progress=False)
    assert again.test == first.test
    assert again.summary["steps_per_second"] > 0, "of all the sessions of the run"
    with pytest.raises(InputError, match="another configuration or model"):
        jaxopt_lab.train(None, tmp_path / "run", resume=True, progress=False)


def test_bfloat16_trains(tmp_path, config):
    del config
    narrow = jaxopt_lab.load_config(tmp_path / "config.toml", ["train.dtype=bfloat16"])
    result = jaxopt_lab.train(narrow, progress=False)
    assert result.test["accuracy"] > 0.85
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(result.params))
