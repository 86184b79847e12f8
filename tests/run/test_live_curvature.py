"""`[log] curvature`: what the compiled loop measures, against dense matrices and by hand."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxopt_lab
from jaxopt_lab.config.build import build
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep

TABLES = {
    "data": {"name": "digits", "batch_size": "full", "validation": 0.15, "train_size": 64},
    "model": {"name": "linear"},
    # So slow that the parameters stay, and power iteration comes to its end.
    "optimizer": {"name": "sgd", "learning_rate": 1e-12},
    "train": {"steps": 40, "evaluate_every": 20},
    "log": {"curvature": 2},
}


@pytest.fixture(scope="module", name="history")
def _history():
    return jaxopt_lab.train(parse_config(TABLES), progress=False).history


def test_is_the_largest_eigenvalue_of_the_dense_hessian(history):
    experiment = build(parse_config(TABLES))
    state = experiment.init(jax.random.key(0))
    flat, unravel = ravel_pytree(state.params)
    x, y = (jnp.asarray(experiment.train[name]) for name in ("x", "y"))

    def loss(flat):
        outputs = experiment.forward.evaluate(unravel(flat), {}, x)
        return experiment.objective.loss(outputs, y).mean()

    largest = np.abs(np.linalg.eigvalsh(jax.jit(jax.hessian(loss))(flat))).max()
    measured = history["top_eigenvalue"]
    # 80 steps of power iteration on eigenvalues that lie apart.
    np.testing.assert_allclose(measured[39], largest, rtol=1e-2)
    assert measured[39] <= largest * (1 + 1e-5)
    assert np.isnan(measured[::2]).all() and np.isfinite(measured[1::2]).all()


def test_the_noise_scale_is_that_of_eight_parts(history):
    experiment = build(parse_config(TABLES))
    params = experiment.init(jax.random.key(0)).params
    grads = []
    for x, y in zip(*(np.split(experiment.train[k], 8) for k in ("x", "y")), strict=True):

        def mean(p, x=x, y=y):
            return experiment.objective.loss(experiment.forward.evaluate(p, {}, x), y).mean()

        grads.append(ravel_pytree(jax.jit(jax.grad(mean))(params))[0])
    grads = np.stack(grads).astype(np.float64)
    covariance = grads.var(0, ddof=1).sum()
    signal = (grads.mean(0) ** 2).sum() - covariance / 8
    # 8 samples a part, whose mean has an eighth of a sample's variance.
    np.testing.assert_allclose(history["noise_scale"][1], 8 * covariance / signal, rtol=1e-4)


def test_a_resumed_run_measures_as_one_that_never_stopped(tmp_path, history):
    # The vector of the power iteration is in the checkpoint.
    tables = TABLES | {"train": TABLES["train"] | {"checkpoint_every": 20}}
    jaxopt_lab.train(parse_config(tables), tmp_path / "run", progress=False)
    whole = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    jaxopt_lab.train(None, tmp_path / "run", resume=True, from_step=20, progress=False)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == whole
    rows = [json.loads(line) for line in whole.decode().splitlines()]
    assert rows[0]["top_eigenvalue"] is None
    assert (tmp_path / "run" / "plots" / "curvature_curve.png").exists()
    one_by_one = tables | {"train": tables["train"] | {"steps_per_dispatch": 1}}
    alone = jaxopt_lab.train(parse_config(one_by_one), progress=False).history
    for name in ("top_eigenvalue", "noise_scale"):
        np.testing.assert_allclose(alone[name], history[name], rtol=1e-4)


def test_runs_of_a_sweep_measure_what_they_do_alone():
    tables = TABLES | {
        "train": {"steps": 6, "evaluate_every": 3},
        "sweep": {"optimizer.learning_rate": [1e-3, 0.1]},
    }
    swept = jaxopt_lab.sweep(parse_sweep(tables), progress=False)
    for run in swept.runs:
        rate = run.values["optimizer.learning_rate"]
        own = {k: v for k, v in tables.items() if k != "sweep"}
        own |= {"optimizer": {"name": "sgd", "learning_rate": rate}}
        alone = jaxopt_lab.train(parse_config(own), progress=False).history
        for name in ("top_eigenvalue", "noise_scale"):
            np.testing.assert_allclose(run.history[name], alone[name], rtol=1e-4)


def test_measuring_changes_nothing_else(history):
    quiet = {k: v for k, v in TABLES.items() if k != "log"}
    alone = jaxopt_lab.train(parse_config(quiet), progress=False).history
    np.testing.assert_allclose(alone["loss"], history["loss"], rtol=1e-6)
    assert "top_eigenvalue" not in alone


@pytest.mark.parametrize("log", [{"curvature": 0}, {"curvatur": 5}, {"curvature": "x"}])
def test_bad_input_is_named(log):
    with pytest.raises(ConfigError, match=r"log\.curvatur"):
        parse_config(TABLES | {"log": log})
