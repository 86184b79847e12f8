"""The scan over batch sizes, and its noise scale against per-sample gradients in closed form."""

import csv

import jax
import numpy as np
import pytest

from jaxopt_lab.cli import main
from jaxopt_lab.config.build import build
from jaxopt_lab.config.load import load_config
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.engine import gradient_moments
from jaxopt_lab.run.commands.batch_size_scan import load_scan
from jaxopt_lab.second_order import noise_scale

CONFIG = """
[data]
name = "digits"
train_size = 96
[model]
name = "mlp"
hidden = []
[optimizer]
name = "sgd"
learning_rate = 0.1
[train]
epochs = 1
"""


@pytest.fixture(name="path")
def _path(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def test_the_noise_scale_is_that_of_per_sample_gradients(path):
    experiment = build(load_config(path))
    state = experiment.init(jax.random.key(0))
    moments = gradient_moments(experiment.forward, experiment.objective, experiment.train)
    ours = noise_scale(*moments(state.params, state.model_state))

    x = np.asarray(experiment.forward.normalize(experiment.train["x"]), np.float64).reshape(96, -1)
    x = np.concatenate([x, np.ones((96, 1))], 1)
    layer = jax.tree.map(np.asarray, next(iter(state.params.values())))
    z = x @ np.concatenate([layer["kernel"], layer["bias"][None]]).astype(np.float64)
    p = np.exp(z - z.max(1, keepdims=True))
    p = p / p.sum(1, keepdims=True) - np.eye(10)[experiment.train["y"]]
    grads = (x[:, :, None] * p[:, None, :]).reshape(96, -1)
    trace = np.trace(np.cov(grads.T))
    signal = (grads.mean(0) ** 2).sum() - trace / 96
    # float32 sums against float64 ones.
    np.testing.assert_allclose(float(ours), trace / signal, rtol=1e-3)


def test_the_command_writes_a_row_and_draws(path, tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    folder = tmp_path / "run"
    assert main(["sweep", str(path), "--batch-size-scan", "--run-dir", str(folder)]) == 0
    with open(folder / "batch_sizes.csv") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["batch_size"]) for row in rows] == [8, 16, 32]
    assert {float(row["at_least"]) for row in rows} == {96}
    assert (folder / "plots" / "batch_size.png").read_bytes().startswith(b"\x89PNG")


def test_says_what_is_wrong(path):
    with pytest.raises(InputError, match="is the axis of --batch-size-scan"):
        load_scan(path, ["sweep={'data.batch_size' = [8, 16]}"])
