"""Controls in a whole run: stopping, plateaus, the best, averages and snapshots."""

import numpy as np
import pytest

import jaxopt_lab

CONFIG = """
[data]
name = "digits"
batch_size = 100
validation = 0.2
[model]
name = "mlp"
hidden = [32]
[optimizer]
name = "momentum"
learning_rate = 0.2
[train]
epochs = 30
"""


@pytest.fixture(name="train")
def _train(tmp_path):
    def train(tables, *overrides, **kw):
        path = tmp_path / "config.toml"
        path.write_text(CONFIG + tables)
        return jaxopt_lab.train(jaxopt_lab.load_config(path, overrides), progress=False, **kw)

    return train


PLATEAU = """
[[control]]
name = "plateau_learning_rate"
monitor = "val_loss"
factor = 0.5
patience = 2
"""
STOPPING = """
[[control]]
name = "early_stopping"
monitor = "loss"
patience = 40
"""


def keras_stop(values, patience):
    """The step at which Keras' EarlyStopping would stop: a plain loop over the measurements."""
    best, wait = np.inf, 0
    for step, value in enumerate(values):
        if value < best:
            best, wait = value, 0
        elif (wait := wait + 1) >= patience:
            return step
    return None


def test_early_stopping_on_loss_beside_a_plateau_on_val_loss(train):
    result = train(PLATEAU + STOPPING)
    assert result.stopped_by == "early_stopping"
    losses = result.history["loss"]
    # The step that saw the last straw was not taken, and neither was any after it.
    assert result.summary["steps"] == len(losses) < 330
    assert keras_stop(losses, 40) is None
    whole = train(PLATEAU)
    np.testing.assert_allclose(whole.history["loss"][: len(losses)], losses, rtol=1e-4)
    assert keras_stop(whole.history["loss"], 40) == len(losses)
    rates = np.unique(result.history["learning_rate"])
    assert len(rates) > 1
    halvings = np.log2(rates[-1] / rates)
    np.testing.assert_allclose(halvings, np.round(halvings), atol=1e-5)


def test_the_best_parameters_are_kept_those_of_the_last_evaluation_too(train):
    stopping = '[[control]]\nname = "early_stopping"\npatience = 100\n'
    # A rate so small that every evaluation is the best so far: the last one must be judged too.
    result = train(stopping, "optimizer.learning_rate=1e-4", "train.epochs=3")
    assert result.summary["kept"] == "best"
    assert result.summary["tests"]["best"] == result.summary["tests"]["last"]


def test_the_best_parameters_are_those_of_the_best_evaluation(train):
    stopping = '[[control]]\nname = "early_stopping"\npatience = 100\n'
    wild = ["optimizer.learning_rate=1.0", "optimizer.momentum=0.95"]
    result = train(stopping, *wild)
    best = int(result.history["eval_step"][np.argmin(result.history["val_loss"])])
    assert best < result.summary["steps"], "a run whose last evaluation is not its best was wanted"
    upto = train("", *wild, f"train.epochs={best // 11}")
    # The same steps in another program: float32 rounding, over at most 330 of them.
    assert result.test["loss"] == pytest.approx(upto.test["loss"], rel=1e-2)


CNN = CONFIG.replace('name = "mlp"\nhidden = [32]', 'name = "cnn"\nchannels = [8, 16]')


def test_averaged_weights_are_tested_with_statistics_of_their_own(tmp_path):
    path = tmp_path / "cnn.toml"
    path.write_text(CNN + '[[control]]\nname = "weight_ema"\ndecay = 0.9\n')
    config = jaxopt_lab.load_config(path, ["train.epochs=6"])
    result = jaxopt_lab.train(config, progress=False)
    tests = result.summary["tests"]
    assert result.summary["kept"] == "average"
    assert result.test == tests["average"]
    # At so high a rate the last parameters swing; statistics of others would ruin the average.
    assert tests["average"]["accuracy"] > max(0.8, tests["last"]["accuracy"] - 0.02)


def test_snapshots_make_an_ensemble(train):
    tables = '[schedule]\nname = "sgdr"\ncycle = "2 epochs"\n'
    tables += '[[control]]\nname = "snapshots"\nmembers = 3\n'
    result = train(tables, "train.epochs=6")
    assert set(result.summary["tests"]) == {"last", "ensemble"}
    # Three cycles that end in a good minimum each: their mean is about as good as the last.
    tests = result.summary["tests"]
    assert tests["ensemble"]["accuracy"] > tests["last"]["accuracy"] - 0.02


def test_schedule_free_is_evaluated_at_its_average(train):
    result = train("", "optimizer.name=schedule_free_sgd", "optimizer.learning_rate=1.0")
    assert result.test["accuracy"] > 0.9
