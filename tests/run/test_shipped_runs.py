"""A run of every configuration that is shipped is read back from its folder, and predicts."""

import pathlib
import tomllib

import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.data import digits

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
SHIPPED = {
    path.stem: tables
    for path in sorted(CONFIGS.glob("*.toml"))
    if "linear" not in (tables := tomllib.loads(path.read_text()))
}
QUICK = {"digits_swa"}


def shortened(tables):
    """The same in two steps of a few samples."""
    train = {k: v for k, v in tables["train"].items() if k not in ("epochs", "evaluate_every")}
    schedule = tables.get("schedule", [])
    schedule = [schedule] if isinstance(schedule, dict) else schedule
    lengths = {"cycle": 1, "up": 1, "down": 1, "every": 1, "start": 0, "warmup": 0}
    short = {
        family: [{k: lengths.get(k, v) for k, v in table.items()} for table in given]
        for family, given in (("schedule", schedule), ("control", tables.get("control", [])))
    }
    data = tables["data"] | {"train_size": 128}
    if data["batch_size"] != "full":
        data["batch_size"] = 32
    return tables | short | {"data": data, "train": train | {"steps": 2}}


def colors():
    """What stands in for CIFAR-10."""
    x = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), np.uint8)
    y = np.arange(300) % 10
    return x[:240], y[:240], x[240:], y[240:]


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SHIPPED]
)
def test_a_run_is_read_back_and_predicts(name, tmp_path):
    tables, data = shortened(SHIPPED[name]), None
    test = digits().test
    if tables["data"]["name"].startswith("cifar"):
        data = colors()
        test = {"x": data[2], "y": data[3]}
    folder, how = tmp_path / "run", {"data": data, "progress": False}
    if "sweep" in tables:
        result = jaxopt_lab.sweep(parse_sweep(tables, source=name), folder, **how)
        wanted, run = result.run(), jaxopt_lab.load_run(folder)
        assert run.ensemble().size == len(result.runs)
    else:
        result = jaxopt_lab.train(parse_config(tables), folder, **how)
        wanted, run = result.run, jaxopt_lab.load_run(folder)
    found = run.predict(test["x"])
    np.testing.assert_array_equal(found.outputs, wanted.predict(test["x"]).outputs)
    assert len(found.outputs) == len(test["y"]) and run.kept == wanted.kept
    if run.summary["test"].get("accuracy") is not None:
        right = (found.index == test["y"]).mean()
        np.testing.assert_allclose(right, run.summary["test"]["accuracy"], atol=1e-6)
