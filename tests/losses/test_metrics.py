"""Metrics of a whole split against scikit-learn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.losses import (
    METRICS,
    accuracy,
    auc,
    confusion,
    error,
    f1,
    mae,
    r2,
    rmse,
    subset_accuracy,
    top_k_accuracy,
)

N = 70
WEIGHTS = [None, np.random.default_rng(0).integers(0, 4, N).astype(np.float32)]
# Sums of 70 float32 terms of size about 1, against float64.
CLOSE = {"rtol": 2e-6, "atol": 2e-6}


@functools.cache
def compiled(metric, **options):
    """One program in place of one an operation; that both agree is the last test's."""
    return jax.jit(functools.partial(metric, **options))


def of_classes(classes):
    """Scores with ties, and classes of unequal sizes, one of which is never there."""
    rng = np.random.default_rng(classes)
    z = rng.integers(-8, 9, (N, classes)).astype(np.float32) / 4
    y = np.minimum(rng.geometric(0.4, N) - 1, max(1, classes - 2))
    return z, y


AVERAGES = ("macro", "micro", "weighted")


@jax.jit
def every(z, y, weight):
    """All metrics of classes and of labels, as one program."""
    found = {average: f1(z, y, weight, average=average) for average in AVERAGES}
    found |= {"auc": auc(z, y, weight)}
    if y.ndim == 1 or jnp.issubdtype(y.dtype, jnp.floating):
        return found | {"confusion": confusion(z, y, weight)}
    return found | {"subset_accuracy": subset_accuracy(z, y).mean()}


@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_of_classes(classes, weight):
    z, y = of_classes(classes)
    found = every(z, y, weight)
    guess, names = z.argmax(1), range(classes)
    expected = metrics.confusion_matrix(y, guess, labels=names, sample_weight=weight)
    np.testing.assert_array_equal(found["confusion"], expected)
    for average in AVERAGES:
        expected = metrics.f1_score(y, guess, average=average, sample_weight=weight)
        np.testing.assert_allclose(found[average], expected, **CLOSE)
    there = np.unique(y)  # scikit-learn refuses a class that is not there
    p = np.asarray(jax.nn.softmax(jnp.asarray(z)))  # whose ties are those of its rounding
    if classes == 2:
        expected = metrics.roc_auc_score(y, z[:, 1] - z[:, 0], sample_weight=weight)
    else:
        each = [metrics.roc_auc_score(y == k, p[:, k], sample_weight=weight) for k in there]
        expected = np.mean(each)
    np.testing.assert_allclose(found["auc"], expected, **CLOSE)
    # A distribution counts by its largest entry.
    hot = every(z, np.eye(classes, dtype=np.float32)[y], weight)
    for name, value in found.items():
        np.testing.assert_array_equal(hot[name], value)


@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
def test_of_one_score(weight):
    z, y = of_classes(2)
    score = z[:, 1] - z[:, 0]
    for outputs in (score, score[:, None]):
        found = every(outputs, y, weight)
        expected = metrics.roc_auc_score(y, score, sample_weight=weight)
        np.testing.assert_allclose(found["auc"], expected, **CLOSE)
        expected = metrics.confusion_matrix(y, score > 0, sample_weight=weight)
        np.testing.assert_array_equal(found["confusion"], expected)


@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
def test_of_labels(weight):
    rng = np.random.default_rng(0)
    z = rng.integers(-8, 9, (N, 4)).astype(np.float32) / 4
    y = (rng.random((N, 4)) < [0.5, 0.1, 0.9, 0.3]).astype(np.int32)
    found = every(z, y, weight)
    for average in AVERAGES:
        expected = metrics.f1_score(y, z > 0, average=average, sample_weight=weight)
        np.testing.assert_allclose(found[average], expected, **CLOSE)
    expected = metrics.roc_auc_score(y, z, sample_weight=weight)
    np.testing.assert_allclose(found["auc"], expected, **CLOSE)
    expected = metrics.accuracy_score(y, z > 0)
    np.testing.assert_allclose(found["subset_accuracy"], expected, **CLOSE)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weight", WEIGHTS, ids=["plain", "weighted"])
def test_of_numbers(weight, outputs):
    rng = np.random.default_rng(0)
    y = (1000 + rng.normal(size=(N, outputs))).astype(np.float32)
    z = (y + 0.3 * rng.normal(size=y.shape)).astype(np.float32)
    args = (z, y, weight)
    for ours, theirs in ((rmse, metrics.root_mean_squared_error), (r2, metrics.r2_score)):
        # float32 values of 1000 are good to 6e-5.
        expected = theirs(y.astype(np.float64), z.astype(np.float64), sample_weight=weight)
        np.testing.assert_allclose(compiled(ours)(*args), expected, rtol=1e-4)
    mean = np.average(compiled(mae)(*args[:2]), weights=weight)
    expected = metrics.mean_absolute_error(y, z, sample_weight=weight)
    np.testing.assert_allclose(mean, expected, rtol=1e-4)
    if outputs == 1:
        for metric in (rmse, r2):  # targets (N,) beside outputs (N, 1)
            own = compiled(metric)
            np.testing.assert_array_equal(own(args[0], args[1][:, 0], args[2]), own(*args))


def test_a_constant_target_is_explained_or_not():
    y = jnp.ones((5, 1))
    assert float(r2(y, y)) == 1
    assert float(r2(y + 1, y)) == 0


def test_what_is_not_there_is_left_out():
    y = np.zeros(6, int)
    z = np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 1, 0]]
    assert np.isnan(compiled(auc)(z, y))
    # Of class 0: 2*4 / (8 + 2); of class 1, predicted and never there, 0; class 2 is neither.
    np.testing.assert_allclose(compiled(f1)(z, y), (0.8 + 0) / 2, **CLOSE)
    # A sample of weight 0 is as one that is not there, whatever its outputs are.
    weight = np.array([1, 1, 1, 1, 1, 0], np.float32)
    spoilt = np.concatenate([z[:5], np.full((1, 3), np.nan, np.float32)])
    for metric in (compiled(f1), compiled(confusion), compiled(f1, average="micro")):
        np.testing.assert_array_equal(metric(spoilt, y, weight), metric(z[:5], y[:5]))
    numbers = np.arange(6, dtype=np.float32)
    spoilt = np.append(numbers[:5] + 0.5, np.float32(np.nan))
    for metric in (compiled(rmse), compiled(r2)):
        found, expected = metric(spoilt, numbers, weight), metric(spoilt[:5], numbers[:5])
        np.testing.assert_allclose(found, expected, **CLOSE)


def test_accuracy_among_the_largest():
    z, y = of_classes(7)
    z = z + 1e-3 * np.arange(7)  # no ties, of which scikit-learn takes the last
    for k in (1, 3, 6):
        found = top_k_accuracy(jnp.asarray(z), jnp.asarray(y), k=k).mean()
        expected = metrics.top_k_accuracy_score(y, z, k=k, labels=range(7))
        np.testing.assert_allclose(found, expected, **CLOSE)
    with pytest.raises(InputError, match="k = 7 needs outputs"):
        top_k_accuracy(jnp.asarray(z), jnp.asarray(y), k=7)
    right = accuracy(jnp.asarray(z), jnp.asarray(y))
    np.testing.assert_array_equal(error(jnp.asarray(z), jnp.asarray(y)), 1 - right)


@pytest.mark.parametrize("name", METRICS)
def test_many_runs_at_once_and_compiled(name):
    metric, rng = METRICS[name], np.random.default_rng(0)
    labels = jnp.asarray(rng.integers(0, 2, (N, 6)), jnp.int32)
    if name in ("accuracy", "error", "top_k_accuracy"):
        labels = labels.argmax(1)
    z = jnp.asarray(rng.normal(size=(3, N, 6)), jnp.float32)
    together = jax.jit(jax.vmap(metric, (0, None)))(z, labels)
    for one, outputs in zip(together, z, strict=True):
        np.testing.assert_allclose(one, metric(outputs, labels), rtol=1e-6)
