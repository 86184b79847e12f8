"""Checkpoints by time: little is lost, and in the end nothing shows that they were there."""

import contextlib
import json

import pytest

import jaxopt_lab
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.core.errors import DamageWarning
from jaxopt_lab.core.tree import all_finite
from jaxopt_lab.run.records.run_writer import RunWriter

TABLES = {
    "data": {"name": "digits", "batch_size": 128, "validation": 0.15},
    "model": {"name": "mlp", "hidden": [8], "dropout": 0.1},
    "optimizer": {"name": "adam", "learning_rate": 0.02},
}
TRAIN = {"steps": 40, "evaluate_every": 10, "checkpoint_every": 16, "steps_per_dispatch": 1}


def config(**train):
    return parse_config(TABLES | {"train": TRAIN | train})


OFTEN = config(checkpoint_seconds=1e-9)


def contents(folder):
    """Log and checkpoints, all that are kept, byte for byte."""
    found = {"log": (folder / "metrics.jsonl").read_bytes()}
    for path in sorted((folder / "checkpoints").rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = path.read_bytes() if path.is_file() else None
    return found


class KilledError(BaseException):
    """As a kill: nothing of the run is done after it."""


@pytest.fixture(scope="module", name="whole")
def _whole(tmp_path_factory):
    """What a run leaves behind that never saved because of the time."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    jaxopt_lab.train(config(), folder, progress=False)
    found = contents(folder)
    assert [name for name in found if name.endswith("npz")] == [
        "checkpoints/step-00000032.npz",
        "checkpoints/step-00000040.npz",
    ]
    return found


@pytest.fixture(name="saved")
def _saved(monkeypatch):
    """The steps at which a run saves because of the time."""
    steps, save_latest = [], RunWriter.save_latest

    def saving(self, state):
        steps.append(self.log.steps)
        return save_latest(self, state)

    monkeypatch.setattr(RunWriter, "save_latest", saving)
    return steps


def stopped_at(step, how, monkeypatch):
    """Let `how` happen after the chunk of a step is saved."""
    save = RunWriter.save

    def saving(self, state, **rest):
        saved = save(self, state, **rest)
        if self.log.steps >= step:
            how()
        return saved

    monkeypatch.setattr(RunWriter, "save", saving)


def test_the_folder_is_as_without_them(whole, saved, tmp_path):
    jaxopt_lab.train(OFTEN, tmp_path / "run", progress=False)
    assert len(saved) > 3 and not {16, 32} & set(saved)
    assert contents(tmp_path / "run") == whole
    jaxopt_lab.train(None, tmp_path / "run", resume=True, progress=False)
    assert contents(tmp_path / "run") == whole


@pytest.mark.parametrize(("step", "damaged"), [(5, False), (33, False), (33, True)])
def test_a_killed_run_loses_what_came_after_the_last_of_them(
    whole, saved, tmp_path, monkeypatch, capsys, step, damaged
):
    def kill():
        raise KilledError

    with monkeypatch.context() as patch:
        stopped_at(step, kill, patch)
        with pytest.raises(KilledError):
            jaxopt_lab.train(OFTEN, tmp_path / "run", progress=False)
    (latest,) = (tmp_path / "run" / "checkpoints" / "latest").glob("*.json")
    assert json.loads(latest.read_text())["step"] == saved[-1] >= step
    found = jaxopt_lab.load_run(tmp_path / "run")
    assert found.step == saved[-1]
    if damaged:
        latest.with_suffix(".npz").write_bytes(b"damaged")
    warned = pytest.warns(DamageWarning) if damaged else contextlib.nullcontext()
    with warned:
        jaxopt_lab.train(None, tmp_path / "run", resume=True)
    out = " ".join(capsys.readouterr().out.split())
    if damaged:
        assert "going on from step 32, the newest whole checkpoint" in out
    else:
        assert f"going on from step {found.step}, the newest checkpoint" in out
    assert contents(tmp_path / "run") == whole


def test_an_interrupt_leaves_no_trace_either(whole, tmp_path, monkeypatch):
    from jaxopt_lab.run.process.interrupt import Interrupts

    with monkeypatch.context() as patch:
        patch.setattr(Interrupts, "asked", lambda self: True)
        first = jaxopt_lab.train(config(), tmp_path / "run", progress=False)
    assert first.stopped_by == "interrupted" and first.summary["steps"] < 16
    assert jaxopt_lab.load_run(tmp_path / "run").step == first.summary["steps"]
    jaxopt_lab.train(None, tmp_path / "run", resume=True, progress=False)
    assert contents(tmp_path / "run") == whole


def test_a_run_that_diverges_keeps_the_last_good_one(saved, tmp_path):
    tables = TABLES | {"optimizer": {"name": "sgd", "learning_rate": 1e30}}
    train = {"steps": 400, "checkpoint_seconds": 1e-9, "steps_per_dispatch": 1}
    result = jaxopt_lab.train(
        parse_config(tables | {"train": train}), tmp_path / "run", progress=False
    )
    assert result.stopped_by == "diverged" and saved
    assert result.summary["last_good"] == saved[-1] == result.summary["not_finite"]["step"] - 1
    run = jaxopt_lab.load_run(tmp_path / "run")
    assert run.step == saved[-1] and all_finite(run.params)


def test_only_what_takes_long_is_saved_because_of_the_time(saved, tmp_path):
    jaxopt_lab.train(config(), tmp_path / "run", progress=False)
    assert not saved, "a minute was not over"
