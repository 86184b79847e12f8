"""`jaxopt-lab evaluate` and `show-augment`, as a user calls them."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from jaxopt_lab import cli
from jaxopt_lab.run.commands import evaluate

CONFIG = """
[data]
name = "digits"
batch_size = 128
[model]
name = "cnn"
channels = [8]
[[augment]]
name = "random_crop"
padding = 1
[[augment]]
name = "cutmix"
[optimizer]
name = "adam"
learning_rate = 0.01
[train]
epochs = 5
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(CONFIG)


def test_runs_side_by_side_on_clean_and_corrupted_images(monkeypatch, tmp_path, capsys):
    assert cli.main(["train", "config.toml", "--run-dir", "one"]) == 0
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    kept = {name: evaluate.CORRUPTIONS[name] for name in ("gaussian_noise", "contrast")}
    monkeypatch.setattr(evaluate, "CORRUPTIONS", kept)
    monkeypatch.setattr(evaluate, "SEVERITIES", (1, 5))
    assert cli.main(["evaluate", "one", "two", "--corruptions"]) == 0
    out = capsys.readouterr().out
    assert "ECE corrupted" in out and "two" in out

    found = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    assert found == json.loads((tmp_path / "two" / "evaluation.json").read_text())
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())
    np.testing.assert_allclose(1 - found["error"], summary["test"]["accuracy"], atol=1e-6)
    np.testing.assert_allclose(found["loss"], summary["test"]["loss"], rtol=1e-4)
    errors = found["corruption_errors"]
    assert set(errors) == set(kept) and all(len(row) == 2 for row in errors.values())
    assert errors["contrast"][1] > found["error"]
    np.testing.assert_allclose(found["mean_corruption_error"], np.mean(list(errors.values())))
    assert 0 <= found["calibration_error"] <= 1

    assert cli.main(["evaluate", "one", "--samples", "10"]) == 0
    tenth = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    assert 10 * tenth["error"] == pytest.approx(round(10 * tenth["error"]), abs=1e-4)


def test_a_diverged_run_has_no_numbers(capsys):
    steep = ["--set", "optimizer.name=sgd", "--set", "optimizer.learning_rate=1e30"]
    assert cli.main(["train", "config.toml", "--run-dir", "none", *steep]) == 1
    assert cli.main(["evaluate", "none"]) == 2
    assert "none holds no checkpoint: the run diverged" in capsys.readouterr().err
    # After one step the parameters are finite yet.
    steep += ["--set", "train.steps=1"]
    assert cli.main(["train", "config.toml", "--run-dir", "wild", *steep]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", "wild", "--corruptions"]) == 0
    out = capsys.readouterr().out
    assert "wild: the outputs are not finite: the run diverged" in out and "nan" not in out
    found = json.loads(pathlib.Path("wild/evaluation.json").read_text())
    assert found == dict.fromkeys(("error", "loss", "calibration_error"))


def test_what_cannot_be_evaluated_is_told(tmp_path, capsys):
    assert cli.main(["evaluate", "nowhere"]) == 2
    assert "nowhere holds no run: there is no" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
    assert cli.main(["evaluate", "nowhere", "--samples", "0"]) == 2
    assert "--samples must be >= 1" in capsys.readouterr().err


def test_show_augment_draws_a_column_a_table(tmp_path, capsys):
    assert cli.main(["show-augment", "config.toml"]) == 0
    assert "wrote config-augment.png" in capsys.readouterr().out
    assert (tmp_path / "config-augment.png").read_bytes().startswith(b"\x89PNG")
    plain = CONFIG[: CONFIG.index("[[augment]]")] + CONFIG[CONFIG.index("[optimizer]") :]
    (tmp_path / "plain.toml").write_text(plain)
    assert cli.main(["show-augment", "plain.toml"]) == 2
    assert "no [[augment]]" in capsys.readouterr().err
    assert cli.main(["show-augment", "config.toml", "--output", "a.jpg"]) == 2
    assert "must name a .png file" in capsys.readouterr().err
