"""A run is trained for longer in a new folder, from its last state; the old one stays as it is."""

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab import cli
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import checkpoint
from jaxopt_lab.run.commands.prolong import prolong

TABLES = {
    "data": {"name": "digits", "train_size": 64, "batch_size": 32},
    "model": {"name": "mlp", "hidden": [4]},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"epochs": 3, "checkpoint_every": 2},
}


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "short-001"
    jaxopt_lab.train(parse_config(TABLES), folder, progress=False)
    return folder


def test_without_a_schedule_the_longer_run_is_the_undisturbed_one(short, tmp_path):
    before = files(short)
    said = prolong(short, tmp_path / "longer", epochs=5)
    assert said[0].startswith("from step 6 of ") and "to step 10" in said[0]
    result = jaxopt_lab.train(None, tmp_path / "longer", resume=True, progress=False)
    whole = jaxopt_lab.train(
        parse_config(TABLES | {"train": {"epochs": 5, "checkpoint_every": 2}}), progress=False
    )
    for name, values in whole.history.items():
        np.testing.assert_array_equal(result.history[name], values, err_msg=name)
    kernels = [found.params["Dense_0"]["kernel"] for found in (result, whole)]
    np.testing.assert_array_equal(*kernels)
    assert files(short) == before


def test_what_a_longer_run_changes_is_said(tmp_path):
    tables = TABLES | {"train": {"epochs": 3, "checkpoint_every": "50%"}}
    jaxopt_lab.train(parse_config(tables), tmp_path / "run", progress=False)
    said = prolong(tmp_path / "run", tmp_path / "longer", steps=20)
    assert said[1] == "the learning rate goes on at 0.01, after 0.01"
    assert said[2] == "lengths in % are of 20 steps, and were of 6: train.checkpoint_every = 50%"


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"epochs": 3}, "stands at step 6, and 3 epochs are 6 steps: give more than 3 epochs"),
        ({"steps": 4}, "stands at step 6, and 4 steps are 4 steps"),
        ({"epochs": 0}, "train.epochs: must be > 0, got 0"),
        ({"epochs": float("nan")}, "train.epochs: must be > 0, got nan"),
        ({"epochs": float("inf")}, "train.epochs: must be > 0 and finite, got inf"),
        ({"epochs": "9"}, "must be a number > 0, got"),
        ({"steps": -5}, "train.steps: must be >= 1, got -5"),
        ({"steps": 9.5}, "train.steps: "),
        ({}, "one of the two"),
        ({"steps": 9, "epochs": 9}, "one of the two"),
    ],
)
def test_what_is_no_longer_run_is_refused(short, tmp_path, how, text):
    with pytest.raises(InputError, match=text):
        prolong(short, tmp_path / "longer", **how)
    assert not (tmp_path / "longer").exists()


def test_a_run_that_cannot_go_on_is_refused(short, tmp_path):
    with pytest.raises(InputError, match="already holds a run"):
        prolong(short, short, epochs=9)
    with pytest.raises(InputError, match="holds no run to resume"):
        prolong(tmp_path, tmp_path / "longer", epochs=9)
    control = [{"name": "early_stopping", "patience": 1, "monitor": "val_loss"}]
    tables = TABLES | {"control": control, "optimizer": {"name": "sgd", "learning_rate": 1e-9}}
    tables["train"] = {"epochs": 9}
    result = jaxopt_lab.train(parse_config(tables), tmp_path / "stopped", progress=False)
    assert result.stopped_by == "early_stopping"
    with pytest.raises(InputError, match=r"stopped early: more steps change nothing; .* \[start\]"):
        prolong(tmp_path / "stopped", tmp_path / "longer", epochs=99)


def test_the_command_takes_the_next_free_folder(short, capsys):
    assert cli.main(["train", "--resume", str(short), "--epochs", "4"]) == 0
    assert checkpoint.steps(short.parent / "short-002" / "checkpoints")[0] == 8
    assert "from step 6 of" in capsys.readouterr().out
    for wrong in (
        ["config.toml", "--epochs", "4"],
        ["--resume", "a", "--set", "seed=1", "--steps", "4"],
    ):
        assert cli.main(["train", *wrong]) == 2
    assert "--epochs and --steps go with --resume RUN" in capsys.readouterr().err
