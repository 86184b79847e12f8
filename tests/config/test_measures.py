"""Losses, metrics and weights by the targets of the data, against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics

import jaxopt_lab
from jaxopt_lab.config.build import assemble
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import to_tables
from jaxopt_lab.config.groups import group_runs
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.source import read
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.data import Dataset, breast_cancer
from jaxopt_lab.losses import METRICS

BASE = {
    "model": {"name": "mlp", "hidden": [8]},
    "optimizer": {"name": "adam", "learning_rate": 1e-2},
    "train": {"steps": 8, "evaluate_every": 4, "evaluation_batch_size": 32},
}


def config(name="breast_cancer", validation=0.2, **tables):
    given = {"data": {"name": name, "batch_size": 64, "validation": validation}} | BASE
    return parse_config(given | tables)


def many_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 5)).astype(np.float32)
    y = (x[:, :3] + rng.normal(size=(120, 3)) > 0.5).astype(np.int32)
    return Dataset({"x": x[:90], "y": y[:90]}, {"x": x[90:], "y": y[90:]}, ("a", "b", "c"))


def outputs_of(result, config, data=None):
    """The outputs of what a run kept for the test split, and its targets."""
    source = read(config, data=data)
    experiment = assemble(config, source)
    return experiment.predict(result.params, result.model_state), experiment.test["y"]


def test_metrics_of_classes_are_those_of_the_whole_split():
    names = ["accuracy", "error", "f1", "auc", "confusion"]
    control = [{"name": "early_stopping", "monitor": "val_f1", "patience": 9}]
    own = config(metric=[{"name": name} for name in names], control=control)
    result = jaxopt_lab.train(own, progress=False)
    z, y = outputs_of(result, own)
    guess = z.argmax(1)
    assert list(result.test) == ["loss", *names]
    expected = {
        "accuracy": metrics.accuracy_score(y, guess),
        "error": 1 - metrics.accuracy_score(y, guess),
        "f1": metrics.f1_score(y, guess, average="macro"),
        "auc": metrics.roc_auc_score(y, z[:, 1] - z[:, 0]),
    }
    for name, value in expected.items():  # float32
        assert result.test[name] == pytest.approx(value, rel=1e-5)
    assert result.test["confusion"] == metrics.confusion_matrix(y, guess).tolist()
    # Of a batch there is no metric of a whole split, and of evaluations no array.
    assert {"accuracy", "val_f1", "train_auc"} <= result.history.keys()
    assert not {"f1", "val_confusion"} & result.history.keys()


def test_metrics_of_numbers_and_of_labels_need_no_name():
    numbers = config("diabetes", validation=0.0)
    result = jaxopt_lab.train(numbers, progress=False)
    z, y = outputs_of(result, numbers)
    assert result.test["loss"] == pytest.approx(metrics.mean_squared_error(y, z[:, 0]), rel=1e-5)
    assert result.test["mae"] == pytest.approx(metrics.mean_absolute_error(y, z[:, 0]), rel=1e-5)
    assert result.test["r2"] == pytest.approx(metrics.r2_score(y, z[:, 0]), rel=1e-4)

    labels, data = config(validation=0.0), many_labels()
    result = jaxopt_lab.train(labels, data=data, progress=False)
    z, y = outputs_of(result, labels, data)
    p = 1 / (1 + np.exp(-z.astype(np.float64)))
    each = [metrics.log_loss(y[:, k], p[:, k]) for k in range(3)]
    assert result.test["loss"] == pytest.approx(np.mean(each), rel=1e-5)
    expected = metrics.f1_score(y, z > 0, average="macro")
    assert result.test["f1"] == pytest.approx(expected, rel=1e-5)
    assert result.test["subset_accuracy"] == pytest.approx(metrics.accuracy_score(y, z > 0))


@pytest.mark.parametrize("shape", [(200,), pytest.param((200, 1), marks=pytest.mark.slow)])
def test_a_line_is_recovered(shape):
    """Targets (N,) beside outputs (N, 1), which would broadcast to (N, N)."""
    x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    y = 10 + 9 * x[:, 0] - 2 * x[:, 1]
    adam = {"name": "adam", "learning_rate": 0.3}
    own = config(model={"name": "linear"}, optimizer=adam, train={"steps": 300}, validation=0.0)
    result = jaxopt_lab.train(own, data=(x, y.reshape(shape)), progress=False)
    assert result.test["r2"] > 0.9999


WATCHED = [{"name": name} for name in ("f1", "auc", "accuracy")]


@pytest.mark.parametrize("monitor", ["val_f1", "val_auc", "accuracy"])
def test_what_is_watched_says_whether_high_is_better(monitor):
    control = [{"name": "early_stopping", "monitor": monitor, "patience": 1}]
    own = config(metric=WATCHED, control=control)
    assert own.control[0].arguments["mode"] == "max"
    assert to_tables(own)["control"][0]["mode"] == "max"


@pytest.mark.parametrize("monitor", ["val_f1", "val_auc", "accuracy"])
def test_a_metric_is_watched(monitor):
    own = config(metric=WATCHED, model={"name": "linear"})
    control = [{"name": "early_stopping", "monitor": monitor, "patience": 1}]
    stopping = parse_config(to_tables(own) | {"control": control})
    result = jaxopt_lab.train(stopping, progress=False)
    if monitor.startswith("val_"):  # the other ends before the first evaluation
        assert result.summary["best"]["metric"] == "val_accuracy"
    axes = {"optimizer.learning_rate": [1e-9, 1e-2], "monitor": monitor}
    plan = parse_sweep(to_tables(own) | {"sweep": axes})
    assert jaxopt_lab.sweep(plan, progress=False).best == 1


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"metric": [{"name": "rmse"}]}, "metric.0: rmse is for numbers, the targets are classes"),
        ({"metric": [{"name": "f1"}, {"name": "f1"}]}, "metric.1: f1 is measured already"),
        ({"metric": [{"name": "top_k_accuracy"}]}, "metric.0: top_k_accuracy: k = 5 needs outputs"),
        (
            {"control": [{"name": "early_stopping", "monitor": "val_auc"}]},
            "'val_auc' is not measured",
        ),
        (
            {"loss": {"class_weights": {"malign": 2.0}}},
            "loss.class_weights.malign: is no class, did you mean 'malignant'",
        ),
        ({"loss": {"name": "huber"}}, "loss.name: huber is for numbers, the targets are classes"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_compiles(tables, text):
    own = config(**tables)
    with pytest.raises(ConfigError, match=text):
        assemble(own, read(own))


def test_weights_need_numbers_and_classes():
    with pytest.raises(ConfigError, match='class_weights: must be "balanced", or numbers by class'):
        config(loss={"class_weights": "even"})
    with pytest.raises(ConfigError, match=r"class_weights.benign: must be >= 0, got -1"):
        config(loss={"class_weights": {"benign": -1}})
    own = config("diabetes", loss={"class_weights": "balanced"})
    with pytest.raises(ConfigError, match="class_weights: weigh samples by their class"):
        assemble(own, read(own))


@pytest.mark.parametrize("batch_size", [1, 64])
def test_classes_weigh_the_same_at_every_batch_size(batch_size):
    """9 : 1 rows; the mean gradient over single samples is that over the split."""
    rng = np.random.default_rng(0)
    y = (np.arange(640) % 10 == 0).astype(np.int32)
    data = (rng.normal(size=(640, 3)).astype(np.float32), y)
    own = config(loss={"class_weights": "balanced"})
    experiment = assemble(own, read(own, data=data))
    weights = experiment.objective.weights({"y": jnp.asarray(experiment.train["y"])})
    assert float(weights.mean()) == pytest.approx(1, rel=1e-6)
    for of_class in (0, 1):  # each the same share of the whole
        share = float(weights[experiment.train["y"] == of_class].sum() / weights.sum())
        assert share == pytest.approx(0.5, rel=1e-5)
    params = experiment.init(jax.random.key(0)).params

    count = len(experiment.train["y"]) // batch_size * batch_size
    batches = {
        k: v[:count].reshape(-1, batch_size, *v.shape[1:]) for k, v in experiment.train.items()
    }

    @jax.jit
    @jax.vmap
    def loss(batch):
        outputs = experiment.forward.evaluate(params, {}, batch["x"])
        return experiment.objective.terms(outputs, batch)["loss"]

    mean = np.mean(loss(batches))
    z = experiment.forward.evaluate(params, {}, jnp.asarray(experiment.train["x"][:count]))
    each = -jax.nn.log_softmax(z)[jnp.arange(count), experiment.train["y"][:count]]
    assert mean == pytest.approx(float((each * weights[:count]).mean()), rel=1e-4)


def test_weighted_samples_of_a_file_count_as_often():
    """A weight of 3 is as three copies of a row, in the loss, its gradient and the metrics."""
    data = breast_cancer()
    rows = slice(0, 60)
    x, y = (data.train[k][rows] for k in ("x", "y"))
    weight = (1 + 2 * (np.arange(60) % 3 == 0)).astype(np.float32)
    copies = np.repeat(np.arange(60), weight.astype(int))
    own = config(
        optimizer={"name": "sgd", "learning_rate": 0.1},
        metric=[{"name": n} for n in ("accuracy", "f1", "auc", "confusion")],
    )
    full = {"data": {"name": "breast_cancer", "batch_size": "full", "validation": 0.0}}
    own = parse_config(to_tables(own) | full)

    def split(rows, **more):
        return {"x": x[rows], "y": y[rows], **more}

    every = np.arange(60)
    weighted = Dataset(split(every, weight=weight), split(every, weight=weight), data.classes)
    repeated = Dataset(split(copies), split(copies), data.classes)
    found = jaxopt_lab.train(own, data=weighted, progress=False)
    # The statistics that normalize x are of rows, whatever they weigh.
    source = read(own, data=repeated)
    signature = read(own, data=weighted).signature
    source.signature.mean[:], source.signature.std[:] = signature.mean, signature.std
    experiment = assemble(own, source)
    state = experiment.init(jax.random.key(0))
    step = jax.jit(experiment.step)
    for _ in range(8):
        state, row = step(state, {k: jnp.asarray(v) for k, v in experiment.train.items()})
    # float32, sums in another order, over 8 steps.
    np.testing.assert_allclose(found.history["loss"][-1], row["loss"], rtol=1e-4)
    scores = experiment.evaluator(True, experiment.forward, final=True)(
        state.params, {}, experiment.batches(experiment.test)
    )
    for name, value in scores.items():
        np.testing.assert_allclose(found.test[name], value, rtol=1e-4)


def test_every_metric_may_be_named():
    for name in METRICS:
        parse_config(to_tables(config(metric=[{"name": name}])))


WEIGHED = {"loss.class_weights.malignant": [1.0, 9.0]}


def test_one_program_serves_every_weight_of_a_class():
    own = config(loss={"class_weights": {"malignant": 1.0}})
    plan = parse_sweep(to_tables(own) | {"sweep": WEIGHED})
    assert len(group_runs([run.config for run in plan.runs], read)) == 1


@pytest.mark.slow
def test_a_swept_weight_of_a_class_is_as_alone():
    own = config(loss={"class_weights": {"malignant": 1.0}}, model={"name": "linear"})
    plan = parse_sweep(to_tables(own) | {"sweep": WEIGHED})
    swept = jaxopt_lab.sweep(plan, progress=False)
    for record, run in zip(swept.runs, plan.runs, strict=True):
        alone = jaxopt_lab.train(run.config, progress=False)
        np.testing.assert_allclose(record.history["loss"], alone.history["loss"], rtol=1e-5)
    first, second = (record.history["loss"] for record in swept.runs)
    assert (first != second).all()
