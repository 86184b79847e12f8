"""A trained run predicts what its own test saw, to the bit, whatever its targets."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest

import jaxopt_lab
from jaxopt_lab.config.measures import build_loss
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.declare import declare
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data import digits
from jaxopt_lab.run.records.prediction import prediction_of

DIGITS = {"name": "digits", "batch_size": 64, "validation": 0.15, "train_size": 128}
TABLES = {
    "data": DIGITS,
    "model": {"name": "mlp", "hidden": [16]},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"steps": 4, "evaluation_batch_size": 100},
}


@declare(whole=True, scalar=False, targets=("classes", "labels", "numbers"))
def seen(outputs, labels, weight):
    """What the test saw: 360 rows of digits, and then padding."""
    return outputs.astype(jnp.float32)


def trained(folder=None, **tables):
    return jaxopt_lab.train(parse_config(TABLES | tables), folder, progress=False)


SNAPSHOTS = {
    "schedule": {"name": "sgdr", "cycle": 2},
    "control": [{"name": "snapshots"}, {"name": "weight_ema", "decay": 0.5}],
}
NETWORKS = {
    "mlp": {"model": {"name": "mlp", "hidden": [16], "norm": "batch"}, **SNAPSHOTS},
    "cnn": {"model": {"name": "cnn"}},
    "bfloat16": {
        "model": {"name": "cnn"},
        "train": {"steps": 2, "dtype": "bfloat16", "evaluation_batch_size": 128},
    },
}


@pytest.mark.slow
@pytest.mark.usefixtures("fully_optimized")
@pytest.mark.parametrize("tables", NETWORKS.values(), ids=NETWORKS)
def test_outputs_are_those_of_the_test_to_the_bit_however_they_are_compiled(tables, tmp_path):
    check_outputs(tables, tmp_path)


def test_outputs_are_those_of_the_test_to_the_bit(tmp_path):
    check_outputs(NETWORKS["mlp"], tmp_path)


def check_outputs(tables, tmp_path):
    x, metric = digits().test["x"], [{"name": "accuracy"}, {"name": "seen"}]
    with jaxopt_lab.extended({"metric": [seen]}):
        result = trained(tmp_path / "run", metric=metric, **tables)
        runs = [result.run, jaxopt_lab.load_run(tmp_path / "run")]
    for run in runs:
        found = np.asarray(run.apply(x), np.float32)
        np.testing.assert_array_equal(found, np.float32(result.test["seen"])[:360])
        np.testing.assert_array_equal(found, run.predict(x).outputs)
        right = (run.predict(x).index == digits().test["y"]).mean()
        np.testing.assert_allclose(right, result.test["accuracy"], atol=1e-6)
        alone = np.concatenate([run.apply(x[i : i + 1]) for i in range(3)])
        rtol = 1e-5 if run.config.train.dtype == "float32" else 2e-2
        np.testing.assert_allclose(alone, run.apply(x[:64])[:3], rtol=rtol, atol=rtol)
        if "control" in tables:
            assert run.kept == "average" and run.ensemble().size == 2
            ensemble = result.summary["tests"]["ensemble"]["seen"]
            both = run.ensemble().apply(x)
            np.testing.assert_array_equal(both, np.float32(ensemble)[:360])


def link(name, z):
    """By hand."""
    sigmoid = 1 / (1 + np.exp(-z.astype(np.float64)))
    power = np.exp(z.astype(np.float64) - z.max(-1, keepdims=True))
    return {"softmax": power / power.sum(-1, keepdims=True), "sigmoid": sigmoid, "": None}[name]


LINKS = {
    "softmax_cross_entropy": "softmax",
    "logistic": "sigmoid",
    "binary_cross_entropy": "sigmoid",
    "focal": "sigmoid",
    "hinge": "",
    "squared_error": "",
}


@pytest.mark.parametrize("loss", LINKS)
def test_classes_have_probabilities_where_the_loss_knows_them(loss):
    config = parse_config(TABLES | {"loss": {"name": loss}})
    outputs = np.random.default_rng(1).normal(size=(20, 10)).astype(np.float32) * 5
    signature = read(config).signature
    found = prediction_of(outputs, signature, build_loss(config, signature, 10))
    np.testing.assert_array_equal(found.index, outputs.argmax(-1))
    assert found.names == [str(i) for i in found.index] and found.numbers is None
    wanted = link(LINKS[loss], outputs)
    if wanted is None:
        assert found.probabilities is None and found.scores is found.outputs
    else:
        np.testing.assert_allclose(found.probabilities, wanted, rtol=1e-5, atol=1e-7)


RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 5)).astype(np.float32)


@pytest.mark.parametrize(
    ("y", "tables"),
    [
        pytest.param((X[:, :3] > 0).astype(np.int32), {}, id="labels"),
        pytest.param(X[:, 0] * 2, {}, id="a number", marks=pytest.mark.slow),
        pytest.param(X[:, :2] * 2, {}, id="numbers"),
        pytest.param(
            np.round(np.exp(X[:, 0])),
            {"loss": {"name": "poisson_nll"}},
            id="counts",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_other_targets(y, tables, tmp_path):
    given = TABLES | {"data": DIGITS | {"train_size": None, "batch_size": 10}} | tables
    given["data"] = {k: v for k, v in given["data"].items() if v is not None}
    config = parse_config(given)
    data = (X[:40], y[:40], X[40:], y[40:])
    result = jaxopt_lab.train(config, tmp_path / "run", data=data, progress=False)
    found = jaxopt_lab.load_run(tmp_path / "run").predict(X[40:])
    outputs = np.asarray(result.run.apply(X[40:]))
    np.testing.assert_array_equal(found.outputs, outputs)
    if y.dtype == np.int32:
        np.testing.assert_array_equal(found.index, outputs > 0)
        assert found.names[0] == [str(i) for i in np.flatnonzero(outputs[0] > 0)]
        np.testing.assert_allclose(found.probabilities, link("sigmoid", outputs), rtol=1e-5)
        np.testing.assert_allclose(
            (found.index == y[40:]).all(-1).mean(), result.test["subset_accuracy"], atol=1e-6
        )
        return
    wanted = np.exp(outputs) if tables else outputs
    assert found.index is None and found.numbers.shape == y[40:].shape and found.names == []
    np.testing.assert_allclose(found.numbers, wanted.reshape(y[40:].shape), rtol=1e-6)


ROWS = 40
TABLE = {
    "age": [float(i) if i % 7 else None for i in range(ROWS)],
    "sex": ["fm"[i % 2] for i in range(ROWS)],
    "room": [i % 3 for i in range(ROWS)],
    "left": list(range(ROWS)),
    "ill": [["no", "yes"][i % 3 == 0] for i in range(ROWS)],
}


@pytest.fixture(scope="module", name="table")
def _table(tmp_path_factory):
    import pyarrow.csv

    folder = tmp_path_factory.mktemp("table")
    pyarrow.csv.write_csv(pa.table(TABLE), folder / "ill.csv")
    data = {
        "name": "table",
        "path": str(folder / "ill.csv"),
        "target": "ill",
        "columns": ["age", "sex", "room"],
        "categories": ["room"],
        "missing": "mean",
        "batch_size": 8,
        "validation": 0.2,
    }
    config = parse_config(TABLES | {"data": data})
    jaxopt_lab.train(config, folder / "run", progress=False)
    return config, jaxopt_lab.load_run(folder / "run")


class Frame:
    """What a frame of pandas is to us."""

    def __init__(self, columns):
        self._columns, self.columns = columns, list(columns)

    def __getitem__(self, name):
        return np.array(self._columns[name], None if name != "age" else float)


FORMS = {
    "a mapping": lambda t: t,
    "rows": lambda t: [dict(zip(t, row, strict=True)) for row in zip(*t.values(), strict=True)],
    "arrow": pa.table,
    "a frame": Frame,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_is_encoded_as_training_did(form, table):
    config, run = table
    source = read(config)
    wanted = np.asarray(run.apply(source.test["x"]))
    rows = [int(i) for i in source.parts["test"]]
    given = {name: [values[i] for i in rows] for name, values in TABLE.items() if name != "ill"}
    found = run.predict(FORMS[form](given))
    # The parts are told in the table's order, and a split has its own.
    for a, b in zip(found.outputs.T, wanted.T, strict=True):
        np.testing.assert_array_equal(np.sort(a), np.sort(b))
    assert set(found.names) <= {"no", "yes"}


def test_columns_that_do_not_fit_are_told(table):
    _, run = table
    good = {"age": [1.0, 2.0], "sex": ["f", "m"], "room": [1, 2]}
    for wrong, message in (
        ({"sex": ["f", "x"]}, "apply: column 'sex' holds 'x' on row 1, which training has not"),
        ({"age": ["a", "b"]}, "column 'age' holds string, expected numbers"),
        ({"age": [1.0, math.inf]}, "'age' holds a number that is infinite"),
        ({"age": 3}, "column 'age' must be a list of values, one a row, got 3"),
        ({"age": [1.0]}, "no table"),
    ):
        with pytest.raises(InputError, match=message):
            run.apply(good | wrong)
    with pytest.raises(InputError, match="there is no column 'age'"):
        run.apply({"sex": ["f"], "room": [1], "agee": [3]})
    with pytest.raises(InputError, match="trained on arrays, whose columns have no names"):
        trained().run.predict(good)


class Own(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(10)(x.reshape(len(x), -1))


def test_the_runs_of_a_sweep_and_their_ensembles(tmp_path):
    x, y = digits().test["x"], digits().test["y"]
    axes = {"optimizer.learning_rate": [0.001, 0.01], "model.hidden": [[16], [8]]}
    plan = parse_sweep(TABLES | {"sweep": {"seeds": 2, **axes}}, source="sweep")
    result = jaxopt_lab.sweep(plan, tmp_path / "sweep", progress=False)
    best = jaxopt_lab.load_run(tmp_path / "sweep")
    assert best.why == result.run().why and f"run {result.best} of a sweep" in best.why
    for i in (0, 5):
        record, run = result.runs[i], jaxopt_lab.load_run(tmp_path / "sweep", member=i)
        assert run.member == i
        right = (run.predict(x).index == y).mean()
        np.testing.assert_allclose(right, record.test["accuracy"], atol=1e-6)
        np.testing.assert_array_equal(run.apply(x), result.run(i).apply(x))
        np.testing.assert_array_equal(run.history["loss"], record.history["loss"])
    everyone = best.ensemble()
    each = np.stack([result.run(i).predict(x).probabilities for i in range(8)])
    found = everyone.predict(x).probabilities
    np.testing.assert_allclose(found, each.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found, result.ensemble().predict(x).probabilities)
    order = [
        run
        for setting in result.settings
        for run in sorted(setting.runs, key=lambda r: result.runs[r].metrics["val_loss"])
    ]
    assert result.ensemble(3).why.endswith(f"({', '.join(map(str, order[:3]))})")
    np.testing.assert_allclose(
        result.ensemble(3).predict(x).probabilities, each[order[:3]].mean(0), rtol=1e-4, atol=1e-6
    )
    for best_of in (0, 9):
        with pytest.raises(InputError, match="8 of its runs kept parameters, got best="):
            result.ensemble(best_of)
    with pytest.raises(InputError, match="its runs are 0 to 7, got member 8"):
        jaxopt_lab.load_run(tmp_path / "sweep", member=8)
    with pytest.raises(InputError, match="keeps no step 3"):
        jaxopt_lab.load_run(tmp_path / "sweep", step=3)
    with pytest.raises(InputError, match="has no checkpoint"):
        _ = best.optimizer_state
    with pytest.raises(InputError, match="got Own"):
        jaxopt_lab.load_run(tmp_path / "sweep", model=Own())


@pytest.mark.slow
def test_a_sweep_of_ones_own_model(tmp_path):
    plan = parse_sweep(TABLES | {"sweep": {"seeds": 2}}, source="sweep")
    result = jaxopt_lab.sweep(plan, tmp_path / "sweep", model=Own(), progress=False)
    x = digits().test["x"]
    found = jaxopt_lab.load_run(tmp_path / "sweep", member=1, model=Own())
    np.testing.assert_array_equal(found.apply(x), result.run(1).apply(x))
    with pytest.raises(InputError, match="was made with the model Own"):
        jaxopt_lab.load_run(tmp_path / "sweep", member=1)


def test_what_else_a_run_has(tmp_path):
    result = trained(tmp_path / "run")
    run = jaxopt_lab.load_run(tmp_path / "run")
    for each in (run, result.run, trained().run):
        for a, b in zip(
            *map(jax.tree.leaves, (each.optimizer_state, run.optimizer_state)), strict=True
        ):
            np.testing.assert_array_equal(a, b)
        assert each.classes == tuple("0123456789") and each.kept == "last" and each.step == 4
        with pytest.raises(InputError, match="took no snapshots"):
            each.ensemble()
    with pytest.raises(InputError, match="of snapshots all are taken"):
        run.ensemble(2)
    with pytest.raises(InputError, match="is a run and no sweep: leave out member 0"):
        jaxopt_lab.load_run(tmp_path / "run", member=0)
    assert jax.jit(run.apply)(digits().test["x"][:7]).shape == (7, 10)
    assert run.predict(digits().test["x"][:0]).names == []
    at_step = jaxopt_lab.load_run(tmp_path / "run", step=4)
    np.testing.assert_array_equal(at_step.apply(digits().test["x"]), run.apply(digits().test["x"]))
