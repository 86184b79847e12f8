"""`jaxopt-lab linear`: solved as scikit-learn does, chosen by validation, written whole."""

import csv
import json

import numpy as np
import pytest
from sklearn import linear_model

from jaxopt_lab import cli, data
from jaxopt_lab.config.axes import axis_values
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import to_toml
from jaxopt_lab.config.load import load_linear_config
from jaxopt_lab.data.splitting import split
from jaxopt_lab.run.commands.linear import solve

CONFIG = """
[data]
name = "diabetes"
validation = 0.25
[linear]
name = "fit"
loss = "squared"
penalty = "l1"
lam = { log = [0.5, 50.0], n = 5 }
"""


@pytest.fixture(name="write")
def _write(tmp_path):
    def write(text=CONFIG):
        path = tmp_path / "config.toml"
        path.write_text(text)
        return path

    return write


def standardized():
    train, validation, *_ = split(data.diabetes(), validation=0.25)
    mean, std = train["x"].mean(0), train["x"].std(0)
    wide = lambda x: x.astype(np.float64)  # noqa: E731 - where scikit-learn converges
    return [(wide((s["x"] - mean) / std), wide(s["y"])) for s in (train, validation)]


def test_the_lasso_path_is_that_of_scikit_learn(write, tmp_path):
    result = solve(load_linear_config(write()), tmp_path / "run", progress=False)
    (X, y), (X_val, y_val) = standardized()
    scores = []
    for lam, nonzero in zip(result.path["lam"], result.path["nonzero"], strict=True):
        peer = linear_model.Lasso(alpha=lam, tol=1e-8).fit(X, y)
        assert nonzero == (peer.coef_ != 0).sum()
        scores.append(peer.score(X_val, y_val))
    # Both to a tolerance of 1e-6 of the objective in float32.
    np.testing.assert_allclose(result.path["val_score"], scores, atol=1e-4)
    assert result.chosen == np.argmax(scores)

    with open(tmp_path / "run" / "path.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lam"]) for row in rows] == result.path["lam"].tolist()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["test"] == result.test and summary["lam"] == result.path["lam"][result.chosen]
    with np.load(tmp_path / "run" / "model.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["coef"], result.model.coef)
    assert (tmp_path / "run" / "plots" / "regularization_path.png").stat().st_size > 1000
    again = load_linear_config(tmp_path / "run" / "config.toml")
    assert to_toml(again) == (tmp_path / "run" / "config.toml").read_text()


def test_ridge_and_ols(write):
    text = CONFIG.replace('name = "fit"\nloss = "squared"\npenalty = "l1"', 'name = "ridge"')
    result = solve(load_linear_config(write(text)), progress=False)
    (X, y), (X_val, y_val) = standardized()
    for lam, score in zip(result.path["lam"], result.path["val_score"], strict=True):
        peer = linear_model.Ridge(alpha=lam).fit(X, y)
        np.testing.assert_allclose(score, peer.score(X_val, y_val), atol=1e-5)
    ols = text.replace('"ridge"', '"ols"').replace("lam = { log = [0.5, 50.0], n = 5 }\n", "")
    result = solve(load_linear_config(write(ols)), progress=False)
    expected = linear_model.LinearRegression().fit(X, y).score(X_val, y_val)
    np.testing.assert_allclose(result.path["val_score"], [expected], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("breast_cancer", 'name = "fit"\nloss = "hinge"\nlam = 0.01\ntolerance = 1e-3'),
        ("breast_cancer", 'name = "ridge"\nlam = [1.0, 10.0]'),
        ("digits", 'name = "fit"\nloss = "softmax"\nlam = 0.01\ntolerance = 1e-3'),
        (
            "digits",
            'name = "ridge"\nlam = 1.0\n[features]\nname = "fourier"\nfeatures = 300\n'
            "length_scale = 10.0",
        ),
    ],
)
def test_classifiers(write, name, tables):
    text = f'[data]\nname = "{name}"\nvalidation = 0.2\n[linear]\n{tables}\n'
    result = solve(load_linear_config(write(text)), progress=False)
    assert result.test["accuracy"] > 0.9


def test_the_command(write, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = str(write())
    assert cli.main(["linear", path]) == 0
    assert cli.main(["linear", path, "--set", "linear.lam=1.0"]) == 0
    out = capsys.readouterr().out
    assert "test R^2" in out and "nonzero" in out
    assert (tmp_path / "runs" / "config-002" / "summary.json").exists()
    assert cli.main(["linear", path, "--run-dir", "runs/config-001"]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert cli.main(["train", path]) == 2
    assert "jaxopt-lab linear CONFIG" in capsys.readouterr().err


def test_what_did_not_converge_is_told(write, capsys):
    config = load_linear_config(write(), ["linear.max_iterations=10", "linear.tolerance=1e-7"])
    solve(config)
    assert "did not reach the tolerance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("linear.lam=-1.0", r"linear\.lam: must be >= 0, got -1"),
        ("linear.lam={log=[0.0, 1.0], n=3}", r"linear\.lam: must be a number, a list"),
        ("linear.lam=[]", r"linear\.lam: must be a number, a list"),
        ("linear.los='hinge'", r"linear\.los: unknown, did you mean 'loss'"),
        ("linear.name='rigde'", "did you mean 'ridge'"),
        ("linear.loss='hing'", "did you mean 'hinge'"),
        ("model.name='mlp'", "model: unknown"),
        ("features={name='polynomial'}", r"features\.degree: missing"),
    ],
)
def test_faults_are_named_when_read(write, override, text):
    with pytest.raises(ConfigError, match=text):
        load_linear_config(write(), [override])


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("data.validation=0.0", r"data\.validation: several lambdas"),
        ("data.train_size=10000", r"data\.train_size: 10000 is more than the 266"),
        ("features={name='polynomial', degree=9}", r"features: polynomial makes 92,377 features"),
        ("linear.loss='hinge'", "expected integer classes|no L2"),
    ],
)
def test_faults_are_named_when_solved(write, override, text):
    with pytest.raises(ValueError, match=text):
        solve(load_linear_config(write(), [override]), progress=False)


def test_a_file_without_linear_is_told(write):
    with pytest.raises(ConfigError, match=r"linear: missing; a linear model needs \[data\]"):
        load_linear_config(write("[data]\nname = 'digits'\n"))


def test_axes():
    assert axis_values(3) == ((3.0,), None)
    assert axis_values([1, 2.5])[0] == (1.0, 2.5)
    np.testing.assert_allclose(axis_values({"log": [1, 100], "n": 3})[0], [1, 10, 100])
    np.testing.assert_allclose(axis_values({"linear": [0, 1], "n": 3})[0], [0, 0.5, 1])
    for wrong in ("1", [], [1, "2"], {"log": [1, 2]}, {"log": [-1, 2], "n": 2}, True, float("nan")):
        assert axis_values(wrong)[1]
