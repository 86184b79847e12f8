"""`jaxopt-lab evaluate` and `show-augment`, as a user calls them."""

import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

from jaxopt_lab import cli, sweep, train
from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.declare import declared
from jaxopt_lab.losses import LOSSES
from jaxopt_lab.run.commands import evaluate
from jaxopt_lab.run.records.run import Run

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
[loss]
label_smoothing = 0.1
[optimizer]
name = "adam"
learning_rate = 0.01
[train]
epochs = 5
"""

CHEAP = {
    "model": {"name": "mlp", "hidden": [4]},
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "train": {"steps": 2},
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(CONFIG)
    kept = {name: evaluate.CORRUPTIONS[name] for name in ("gaussian_noise", "contrast")}
    monkeypatch.setattr(evaluate, "CORRUPTIONS", kept)
    monkeypatch.setattr(evaluate, "SEVERITIES", (1, 5))


def test_runs_side_by_side_on_clean_and_corrupted_images(tmp_path, capsys):
    assert cli.main(["train", "config.toml", "--run-dir", "one"]) == 0
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert cli.main(["evaluate", "one", "two", "--corruptions"]) == 0
    out = capsys.readouterr().out
    assert "ECE," in out and "two" in out

    found = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    assert found == json.loads((tmp_path / "two" / "evaluation.json").read_text())
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())
    np.testing.assert_allclose(1 - found["error"], summary["test"]["accuracy"], atol=1e-6)
    np.testing.assert_allclose(found["loss"], summary["test"]["loss"], rtol=1e-4)
    errors = found["corruption_errors"]
    assert set(errors) == set(evaluate.CORRUPTIONS) and all(
        len(row) == 2 for row in errors.values()
    )
    assert errors["contrast"][1] > found["error"]
    np.testing.assert_allclose(found["mean_corruption_error"], np.mean(list(errors.values())))
    assert 0 <= found["calibration_error"] <= 1

    checkpoint = max((tmp_path / "one" / "checkpoints").glob("*.json"))
    step = str(json.loads(checkpoint.read_text())["step"])
    assert cli.main(["evaluate", "one", "--step", step]) == 0
    assert f"one: step {step}, as asked; the run finished" in capsys.readouterr().out
    at_its_end = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    assert at_its_end == {k: v for k, v in found.items() if k in at_its_end}
    assert cli.main(["evaluate", "one", "--step", "1"]) == 2
    assert "no checkpoint of step 1; there are" in capsys.readouterr().err

    (tmp_path / "two" / "evaluation.json").unlink()
    (tmp_path / "two" / "evaluation.json").mkdir()  # stands for a folder that cannot be written
    assert cli.main(["evaluate", "two", "one", "--samples", "10"]) == 0
    out = capsys.readouterr().out
    assert "evaluation.json is not written: Is a directory" in out and "| two" in out
    tenth = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    assert 10 * tenth["error"] == pytest.approx(round(10 * tenth["error"]), abs=1e-4)


OF_CLASSES = [name for name, f in LOSSES.items() if "classes" in declared(f).targets]


@pytest.mark.parametrize("name", OF_CLASSES)
def test_the_loss_and_the_metrics_are_the_runs_own(name):
    """Of the outputs themselves, in float64 outside of the program that is tested."""
    config = parse_config(CHEAP | {"loss": {"name": name}, "data": {"name": "breast_cancer"}})
    source = read(config)
    experiment = assemble(config, source)
    run = Run(
        path=pathlib.Path(),
        config=config,
        signature=source.signature,
        history={},
        summary={},
        params=experiment.init(jax.random.key(0)).params,
        model_state={},
        kept="last",
        step=0,
        why="",
        state=None,
        experiment=experiment,
    )
    test = {k: v[:50] for k, v in experiment.test.items()}
    scores = evaluate._scores(run, test)
    z = np.asarray(run.apply(test["x"]), np.float64)
    y = np.eye(2)[test["y"]]
    margins = 1 + z - (z * y).sum(1, keepdims=True) - y
    wrong = 1 / (1 + np.exp((2 * y - 1) * z))  # the probability of what is not so
    wanted = {
        "softmax_cross_entropy": np.log(np.exp(z).sum(1)) - (z * y).sum(1),
        "squared_error": ((z - y) ** 2).sum(1),
        "logistic": np.log1p(np.exp((1 - 2 * y) * z)).sum(1),
        "hinge": margins.max(1),
        "binary_cross_entropy": np.log1p(np.exp((1 - 2 * y) * z)).mean(1),
        "focal": (np.where(y, 0.25, 0.75) * wrong**2 * -np.log(1 - wrong)).sum(1),
    }[name]
    np.testing.assert_allclose(scores["loss"], wanted.mean(), rtol=1e-5)
    np.testing.assert_allclose(scores["accuracy"], (z.argmax(1) == test["y"]).mean(), rtol=1e-6)
    assert ("calibration_error" in scores) == (name == "softmax_cross_entropy")


def test_an_autoencoder_has_its_reconstruction_loss_and_no_error(capsys):
    tables = CHEAP | {
        "data": {"name": "digits", "reconstruct": True, "validation": 0},
        "model": {"name": "autoencoder", "hidden": [4], "code": 2},
        "loss": {"name": "squared_error"},
    }
    result = train(parse_config(tables), "a/run", progress=False)
    shutil.copytree("a/run", "b/run")
    assert cli.main(["evaluate", "a/run", "b/run", "--corruptions"]) == 0
    out = capsys.readouterr().out
    assert "a/run" in out and "b/run" in out and "squared_error" in out and "ECE" not in out
    found = json.loads(pathlib.Path("a/run/evaluation.json").read_text())
    np.testing.assert_allclose(found["loss"], result.test["loss"], rtol=1e-5)
    assert set(found) == {"kept", "step", "loss", "mean_corruption_loss", "corruption_losses"}
    assert found["mean_corruption_loss"] > 0


def test_a_diverged_run_has_no_numbers(capsys):
    steep = ["--set", "optimizer.name=sgd", "--set", "optimizer.learning_rate=1e30"]
    assert cli.main(["train", "config.toml", "--run-dir", "none", *steep]) == 1
    assert cli.main(["evaluate", "none"]) == 2
    assert "none holds no checkpoint: the run diverged" in capsys.readouterr().err
    # After one step the parameters are finite yet.
    steep += ["--set", "train.steps=1"]
    assert cli.main(["train", "config.toml", "--run-dir", "wild", *steep]) == 1
    capsys.readouterr()
    # What was computed is printed, though a run after it cannot be evaluated.
    assert cli.main(["evaluate", "wild", "none", "--corruptions"]) == 2
    out = capsys.readouterr().out
    assert "test split" in out
    assert "wild: the outputs are not finite: the run diverged" in out and "nan" not in out
    found = json.loads(pathlib.Path("wild/evaluation.json").read_text())
    nothing = dict.fromkeys(("error", "loss", "accuracy", "calibration_error"))
    assert found == {"kept": "last", "step": 1} | nothing


def test_what_cannot_be_evaluated_is_told(tmp_path, capsys):
    assert cli.main(["evaluate", "nowhere"]) == 2
    assert "nowhere holds no run: there is no" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
    assert cli.main(["evaluate", "nowhere", "--samples", "0"]) == 2
    assert "--samples must be >= 1" in capsys.readouterr().err


@pytest.mark.slow  # 10 s
def test_a_sweep_is_evaluated_by_its_best_run_or_by_the_one_that_is_named(tmp_path, capsys):
    plan = parse_sweep(
        {"data": {"name": "digits"}} | CHEAP | {"sweep": {"optimizer.learning_rate": [1e-9, 0.1]}}
    )
    result = sweep(plan, tmp_path / "sweep", progress=False)
    for member, options in ((1, []), (0, ["--member", "0"])):
        assert cli.main(["evaluate", "sweep", *options]) == 0
        assert f"; run {member} of a sweep, finished at step 2" in capsys.readouterr().out
        found = json.loads((tmp_path / "sweep" / "evaluation.json").read_text())
        assert found["member"] == member
        # float32: the runs of a sweep are tested side by side
        np.testing.assert_allclose(found["loss"], result.runs[member].test["loss"], rtol=1e-5)


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
