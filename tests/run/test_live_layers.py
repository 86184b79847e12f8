"""`[log] layers`: what the compiled loop measures of each layer, against plain NumPy.

Where devices are needed the test runs this file in a process of its own, with eight of them.
"""

import json
import sys

import jax
import numpy as np
import pytest
from processes import run_file

import jaxopt_lab
from jaxopt_lab.config.build import build
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.diagnostics.layers import l2_and_rms

KINDS = ("grad_norm", "update_norm", "weight_norm", "update_ratio")
CLIP = {"name": "clip_by_global_norm", "max_norm": 0.05}
LINEAR = {
    "data": {"name": "digits", "batch_size": "full", "validation": 0.15, "train_size": 64},
    "model": {"name": "linear"},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "control": [CLIP],
    "train": {"steps": 3},
    "log": {"layers": 1},
}
MLP = {
    "data": {"name": "digits", "batch_size": 32, "validation": 0.15, "train_size": 160},
    "model": {"name": "mlp", "hidden": [16, 16]},
    "optimizer": {"name": "adam", "learning_rate": 1e-2},
    "train": {"steps": 20, "evaluate_every": 10},
    "log": {"layers": 4},
}


def train(tables, *args, **how):
    return jaxopt_lab.train(parse_config(tables), *args, progress=False, **how)


def measured(history):
    return {k: v for k, v in history.items() if "norm" in k or "ratio" in k}


def norm(*arrays):
    return np.sqrt(sum((np.asarray(a, np.float64) ** 2).sum() for a in arrays))


def softmax_regression(tables):
    """Inputs, targets and first parameters, in float64."""
    experiment = build(parse_config(tables))
    params = experiment.init(jax.random.key(0)).params["Dense_0"]
    x = np.asarray(experiment.forward.normalize(experiment.train["x"]), np.float64)
    y = np.eye(10)[experiment.train["y"]]
    return x.reshape(len(x), -1), y, np.float64(params["kernel"]), np.float64(params["bias"])


def gradient(x, y, kernel, bias):
    z = x @ kernel + bias
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return x.T @ (p - y) / len(x), (p - y).mean(0)


def test_three_steps_of_clipped_gradient_descent_by_hand():
    x, y, *weights = softmax_regression(LINEAR)
    history = train(LINEAR).history
    for step in range(3):
        grads = gradient(x, y, *weights)
        factor = min(1, 0.05 / norm(*grads))
        updates = [-0.1 * factor * g for g in grads]
        expected = {
            "grad_norm": norm(*grads),
            "clipped_grad_norm": 0.05,
            "grad_norm/Dense_0": norm(*grads),
            "update_norm/Dense_0": norm(*updates),
            "weight_norm/Dense_0": norm(*weights),
            "update_ratio/Dense_0": norm(*updates) / norm(*weights),
        }
        assert measured(history).keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(history[name][step], value, rtol=2e-5, err_msg=name)
        weights = [w + u for w, u in zip(weights, updates, strict=True)]


def test_the_first_step_of_adam_by_hand():
    tables = LINEAR | {"optimizer": {"name": "adam", "learning_rate": 0.01}, "control": []}
    x, y, *weights = softmax_regression(tables)
    grads = gradient(x, y, *weights)
    updates = [0.01 * g / (np.abs(g) + 1e-8) for g in grads]
    history = train(tables).history
    np.testing.assert_allclose(history["update_norm/Dense_0"][0], norm(*updates), rtol=1e-4)
    # Nothing stands between the gradient and the optimizer.
    np.testing.assert_array_equal(history["clipped_grad_norm"], history["grad_norm"])
    np.testing.assert_allclose(history["grad_norm"][0], norm(*grads), rtol=2e-5)


@pytest.fixture(scope="module", name="history")
def _history():
    return train(MLP).history


def test_rows_that_measured_nothing_have_nothing(tmp_path, history):
    tables = MLP | {"train": MLP["train"] | {"checkpoint_every": 10, "log_every": 3}}
    train(tables, tmp_path / "run")
    path = tmp_path / "run" / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    steps = {row["step"]: row for row in rows if "step" in row}
    # Also where the log has fewer rows than were measured.
    assert sorted(steps) == [3, 4, 6, 8, 9, 12, 15, 16, 18, 20]
    assert {s for s, row in steps.items() if "grad_norm" in row} == {4, 8, 12, 16, 20}
    assert (tmp_path / "run" / "plots" / "update_ratio_curve.png").exists()
    whole = path.read_bytes()
    resumed = jaxopt_lab.train(
        None, tmp_path / "run", resume=True, from_step=10, progress=False
    ).history
    assert path.read_bytes() == whole
    due = np.isin(np.arange(1, 21), [4, 8, 12, 16, 20])
    names = [f"{kind}/Dense_{i}" for kind in KINDS for i in range(3)]
    assert [*measured(history)] == ["grad_norm", "clipped_grad_norm", *names]
    for name, values in measured(history).items():
        np.testing.assert_array_equal(np.isfinite(values), due)
        found = resumed[name][np.isin(resumed["step"], [4, 8, 12, 16, 20])]
        np.testing.assert_array_equal(found, values[due], err_msg=name)


@pytest.mark.parametrize(
    ("table", "rtol"),
    [
        ({"steps_per_dispatch": 1}, 1e-5),
        ({"steps_per_dispatch": 7}, 0),
        ({"microbatches": 4}, 1e-4),
        ({"remat": True}, 1e-5),
        ({"dtype": "bfloat16"}, 0.2),
    ],
    ids=str,
)
def test_however_the_steps_are_taken(table, rtol, history):
    found = train(MLP | {"train": MLP["train"] | table}).history
    for name, values in measured(history).items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=rtol, err_msg=name)


def test_measuring_changes_nothing_else(history):
    alone = train({k: v for k, v in MLP.items() if k != "log"}).history
    np.testing.assert_allclose(alone["loss"], history["loss"], rtol=1e-4)
    assert not measured(alone)


def test_frozen_layers_stand_still_and_clipping_sees_what_trains():
    controls = [
        CLIP,
        {"name": "early_stopping", "patience": 100},
        {"name": "skip_not_finite"},
        {"name": "weight_ema", "decay": 0.9},
    ]
    groups = [
        {"match": "Dense_0", "freeze": True},
        {"match": "Dense_1", "optimizer": {"name": "sgd", "learning_rate": 0.1}},
    ]
    history = train(MLP | {"control": controls, "group": groups}).history
    due = np.arange(3, 20, 4)
    for kind in ("grad_norm", "update_norm", "update_ratio"):
        np.testing.assert_array_equal(history[f"{kind}/Dense_0"][due], 0)
    assert len(set(history["weight_norm/Dense_0"][due])) == 1
    both = [history[f"grad_norm/Dense_{i}"][due] for i in (1, 2)]
    np.testing.assert_allclose(history["grad_norm"][due], np.hypot(*both), rtol=1e-5)
    np.testing.assert_allclose(history["clipped_grad_norm"][due], 0.05, rtol=1e-5)
    share = 0.05 / history["grad_norm"][due]
    updates = history["update_norm/Dense_1"][due]
    np.testing.assert_allclose(updates, 0.1 * share * both[0], rtol=1e-4)


@pytest.mark.parametrize("vectorize", ["vmap", "map"])
def test_runs_of_a_sweep_measure_what_they_do_alone(vectorize):
    axes = {"optimizer.learning_rate": [1e-3, 0.1], "vectorize": vectorize}
    tables = MLP | {"control": [CLIP]}
    swept = jaxopt_lab.sweep(parse_sweep(tables | {"sweep": axes}), progress=False)
    for run in swept.runs:
        rate = run.values["optimizer.learning_rate"]
        alone = train(tables | {"optimizer": {"name": "adam", "learning_rate": rate}}).history
        assert measured(alone).keys() == measured(run.history).keys()
        for name, values in measured(alone).items():
            np.testing.assert_allclose(run.history[name], values, rtol=1e-3, err_msg=name)
        assert not measured(run.metrics)  # its table has one number of each metric


def test_eight_devices_measure_what_one_does():
    run_file(__file__, "sharded", devices=8)


def sharded():
    tables = MLP | {"control": [CLIP], "model": {"name": "mlp", "hidden": [64, 64]}}
    alone = train(tables).history
    found = train(tables, mesh={"shard": "full"}).history
    for name, values in measured(alone).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_norms_of_leaves_of_every_size(scale):
    draw = np.random.default_rng(0).standard_normal
    shapes = [[(3, 5), ()], [(0,)], [(300, 400), (7,)], [(128,)], [(70_000,)]]
    groups = [[np.asarray(scale * draw(s), np.float32) for s in group] for group in shapes]
    l2, rms = jax.jit(l2_and_rms)(groups)
    expected = np.array([norm(*group) for group in groups])
    np.testing.assert_allclose(l2, expected, rtol=1e-5)
    counts = np.maximum([sum(x.size for x in group) for group in groups], 1)
    np.testing.assert_allclose(rms, expected / np.sqrt(counts), rtol=1e-5)


@pytest.mark.parametrize("value", [0, -5, 2.5, "x", True])
def test_bad_input_is_named(value):
    with pytest.raises(ConfigError, match=r"log\.layers: must be"):
        parse_config(MLP | {"log": {"layers": value}})


if __name__ == "__main__":
    globals()[sys.argv[1]]()
