"""Evaluations of an average: what is measured, watched and kept belongs to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.control import averaged_params
from jaxopt_lab.engine import reestimate_statistics
from jaxopt_lab.engine.keys import Stream, stream_key

TABLES = {
    "data": {"name": "digits", "batch_size": 64, "validation": 0.2, "train_size": 192},
    "model": {"name": "mlp", "hidden": [8]},
    "optimizer": {"name": "sgd", "learning_rate": 0.3},
    "control": [
        {"name": "weight_ema", "decay": 0.8},
        {"name": "early_stopping", "monitor": "val_loss", "patience": 50},
    ],
    "train": {"steps": 9, "evaluate_every": 3, "evaluate_weights": "weight_ema"},
}


@pytest.mark.parametrize("norm", [pytest.param("none", marks=pytest.mark.slow), "batch"])
def test_the_average_is_measured_and_the_best_of_it_kept(norm):
    config = parse_config(TABLES | {"model": {**TABLES["model"], "norm": norm}})
    experiment = assemble(config, read(config))
    state, step = jax.jit(experiment.init)(jax.random.key(0)), jax.jit(experiment.step)
    evaluate = experiment.evaluator(True, experiment.forward)
    batches, x = experiment.batches(experiment.validation), experiment.train["x"]
    result = jaxopt_lab.train(config, progress=False)
    measured, averages = [], []
    for k in range(9):
        order = experiment.drawn.order(state.key, jnp.array(k // 3), 192)
        data = {n: jnp.asarray(v) for n, v in experiment.train.items()}
        state, _ = step(state, experiment.drawn.take(data, order, jnp.array(k)))
        if k % 3 == 2:
            params, model_state = averaged_params(state.opt_state), state.model_state
            if norm == "batch":
                inputs = [jnp.asarray(x[i : i + 64]) for i in range(0, 192, 64)]
                key = stream_key(state.key, Stream.MODEL, state.step)
                model_state = reestimate_statistics(
                    experiment.forward, params, model_state, inputs, key
                )
            averages.append(params)
            measured.append(float(evaluate(params, model_state, batches)["loss"]))
    # One program and many: float32 rounding.
    np.testing.assert_allclose(result.history["val_loss"], measured, rtol=1e-4)
    best = int(np.argmin(measured))
    assert result.summary["kept"] == "best" and result.summary["kept_step"] == 3 * (best + 1)
    for a, b in zip(jax.tree.leaves(result.params), jax.tree.leaves(averages[best]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_the_best_of_an_optimizer_that_averages_is_what_was_evaluated():
    """Schedule-Free trains other parameters than it evaluates."""
    own = {"name": "schedule_free_sgd", "learning_rate": 0.5}
    tables = TABLES | {"optimizer": own, "control": TABLES["control"][1:]}
    train = {"steps": 9, "evaluate_every": 9}
    config = parse_config(tables | {"train": train})
    result = jaxopt_lab.train(config, progress=False)
    experiment = assemble(config, read(config))
    found = experiment.evaluator(True, experiment.forward)(
        result.params, {}, experiment.batches(experiment.validation)
    )
    assert float(found["loss"]) == pytest.approx(result.history["val_loss"][-1], rel=1e-5)


@pytest.mark.slow
def test_a_sweep_measures_the_averages_of_its_runs():
    for norm in ("none", "batch"):
        tables = TABLES | {"model": {**TABLES["model"], "norm": norm}}
        plan = parse_sweep(tables | {"sweep": {"optimizer.learning_rate": [0.3, 0.1]}})
        swept = jaxopt_lab.sweep(plan, progress=False)
        for record, run in zip(swept.runs, plan.runs, strict=True):
            alone = jaxopt_lab.train(run.config, progress=False)
            found, expected = (h["val_loss"] for h in (record.history, alone.history))
            np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_there_must_be_such_an_average():
    config = parse_config(TABLES | {"control": TABLES["control"][1:]})
    with pytest.raises(ConfigError, match="'weight_ema' is no average of this run"):
        assemble(config, read(config))
