"""Losses beside the cross-entropy, against scikit-learn, optax and float64 NumPy."""

import functools

import cases
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn import metrics

from jaxopt_lab.core.declare import declared
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.losses import (
    LOSSES,
    absolute_error,
    accuracy,
    binary_cross_entropy,
    focal,
    hinge,
    huber,
    jensen_shannon,
    logistic,
    poisson_nll,
    squared_error,
)

RNG = np.random.default_rng(0)
Z = (3 * RNG.normal(size=(9, 4))).astype(np.float32)
Y = RNG.integers(0, 4, 9)
HOT = np.eye(4, dtype=np.float32)[Y]
BINARY = RNG.integers(0, 2, 9)
# Sums of a few float32 terms of size about 10, against float64.
CLOSE = {"rtol": 1e-6, "atol": 1e-5}


def reference_hinge(z, y, multiclass, squared, margin):
    """By the definition, sample by sample, in float64."""
    power = 2 if squared else 1
    losses = []
    for row, label in zip(np.asarray(z, np.float64), y, strict=True):
        others = [row[j] for j in range(len(row)) if j != label]
        if multiclass == "crammer_singer":
            terms = [margin + max(others) - row[label]]
        elif multiclass == "weston_watkins":
            terms = [margin + other - row[label] for other in others]
        else:
            terms = [margin - row[label]] + [margin + other for other in others]
        losses.append(sum(max(0, t) ** power for t in terms))
    return np.array(losses)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("multiclass", ["crammer_singer", "weston_watkins", "one_vs_rest"])
def test_hinge_of_classes(multiclass, squared):
    loss = functools.partial(hinge, multiclass=multiclass, squared=squared, margin=1.5)
    expected = reference_hinge(Z, Y, multiclass, squared, 1.5)
    for labels in (jnp.asarray(Y), jnp.asarray(HOT)):
        np.testing.assert_allclose(loss(jnp.asarray(Z), labels), expected, **CLOSE)
    # Between two classes: the expected loss.
    other = (Y + 1) % 4
    mixed = 0.3 * HOT + 0.7 * np.eye(4, dtype=np.float32)[other]
    expected = 0.3 * expected + 0.7 * reference_hinge(Z, other, multiclass, squared, 1.5)
    np.testing.assert_allclose(loss(jnp.asarray(Z), jnp.asarray(mixed)), expected, **CLOSE)


def test_hinge_and_log_loss_of_scikit_learn():
    mean = hinge(jnp.asarray(Z), jnp.asarray(Y)).mean()
    np.testing.assert_allclose(mean, metrics.hinge_loss(Y, Z, labels=range(4)), **CLOSE)
    z = Z[:, 0]
    mean = hinge(jnp.asarray(z), jnp.asarray(BINARY)).mean()
    np.testing.assert_allclose(mean, metrics.hinge_loss(BINARY, z), **CLOSE)
    mean = logistic(jnp.asarray(z), jnp.asarray(BINARY)).mean()
    p = 1 / (1 + np.exp(-z.astype(np.float64)))
    np.testing.assert_allclose(mean, metrics.log_loss(BINARY, p), **CLOSE)


@pytest.mark.parametrize("loss", [hinge, logistic])
def test_forms_of_binary_labels(loss):
    z = jnp.asarray(Z[:, 0])
    expected = loss(z, jnp.asarray(BINARY))
    for y in (BINARY, 2 * BINARY - 1, 2.0 * BINARY - 1, BINARY.astype(bool), 1.0 * BINARY):
        np.testing.assert_array_equal(loss(z, jnp.asarray(y)), expected)
        np.testing.assert_array_equal(loss(z[:, None], jnp.asarray(y)), expected)
        np.testing.assert_array_equal(loss(z[:, None], jnp.asarray(y)[:, None]), expected)
    np.testing.assert_allclose(
        loss(z, jnp.full(9, 0.25)),
        0.25 * loss(z, jnp.ones(9)) + 0.75 * loss(z, jnp.zeros(9)),
        **CLOSE,
    )


def test_logistic_of_independent_classes():
    z = Z.astype(np.float64)
    several = RNG.integers(0, 2, Z.shape)
    expected = (np.log1p(np.exp(z)) - several * z).sum(1)
    np.testing.assert_allclose(logistic(jnp.asarray(Z), jnp.asarray(several)), expected, **CLOSE)
    expected = (np.log1p(np.exp(z)) - HOT * z).sum(1)
    np.testing.assert_allclose(logistic(jnp.asarray(Z), jnp.asarray(Y)), expected, **CLOSE)
    # Right with certainty: relative precision is kept where 1 + e^-z rounds to 1.
    np.testing.assert_allclose(logistic(jnp.array([20.0]), jnp.array([1])), [np.exp(-20)], 1e-6)


def test_squared_error():
    y = RNG.normal(size=Z.shape).astype(np.float32)
    expected = ((Z.astype(np.float64) - y) ** 2).sum(1)
    np.testing.assert_allclose(squared_error(jnp.asarray(Z), jnp.asarray(y)), expected, **CLOSE)
    expected = ((Z.astype(np.float64) - HOT) ** 2).sum(1)
    np.testing.assert_allclose(squared_error(jnp.asarray(Z), jnp.asarray(Y)), expected, **CLOSE)
    z, target = jnp.asarray(Z[:, 0]), jnp.asarray(y[:, 0])
    for outputs in (z, z[:, None]):
        mean = squared_error(outputs, target).mean()
        np.testing.assert_allclose(mean, metrics.mean_squared_error(y[:, 0], Z[:, 0]), **CLOSE)


# Of Poisson's the logarithm of the rate is the output: e^10000 is beyond any float.
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "poisson_nll"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_finite_at_extreme_outputs(name, dtype):
    outputs = jnp.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]], dtype)
    loss = functools.partial(LOSSES[name], **cases.LOSSES[name])
    for labels in (jnp.array([1, 0, 2]), jnp.eye(3)):
        value, grads = jax.jit(jax.value_and_grad(lambda z, y: loss(z, y).sum()))(outputs, labels)
        assert loss(outputs, labels).dtype == jnp.float32
        assert np.isfinite(value)
        assert np.isfinite(grads.astype(jnp.float32)).all()


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_the_slope(name, x64):
    loss = functools.partial(LOSSES[name], **cases.LOSSES[name])
    z, direction = np.float64(Z), np.random.default_rng(1).normal(size=Z.shape)
    for labels in (jnp.asarray(Y), jnp.asarray(HOT)):
        total = jax.jit(lambda t, y=labels: loss(jnp.asarray(z) + t * direction, y).sum())
        # Central difference at step h: h^2, and eps/h of values of about 100, which is 1e-9.
        slope = (total(1e-5) - total(-1e-5)) / 2e-5
        np.testing.assert_allclose(jax.grad(total)(0.0), slope, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_jensen_shannon(dtype):
    outputs = jnp.asarray(RNG.normal(size=(3, 5, 4)) * 4, dtype)
    z = np.asarray(outputs.astype(jnp.float32), np.float64)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    m = np.clip(p.mean(0), 1e-7, 1)
    expected = (p * np.log(p / m)).sum(-1).mean(0)
    found = jensen_shannon(outputs)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, **CLOSE)
    # The same views, and views with nothing in common.
    np.testing.assert_allclose(jensen_shannon(outputs[jnp.zeros(3, int)]), 0, atol=1e-6)
    apart = jnp.asarray(2e4 * np.eye(3)[:, None] - 1e4, dtype)
    value, grads = jax.jit(jax.value_and_grad(lambda x: jensen_shannon(x).sum()))(apart)
    np.testing.assert_allclose(value, np.log(3), rtol=1e-6)
    assert np.isfinite(grads.astype(jnp.float32)).all()


@pytest.mark.parametrize(
    "name", ["softmax_cross_entropy", "logistic", "hinge", "binary_cross_entropy", "focal"]
)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("out", [[1], [1, 3]])
def test_a_logit_of_minus_infinity_rules_a_class_out(name, soft, out):
    """The limit of a large negative one, in the gradient too, where no label is of that class."""
    z, labels = jnp.array([[1.0, 0.0, 2.0, 0.5]]), jnp.array([0])
    labels = jnp.array([[0.75, 0.0, 0.25, 0.0]]) if soft else labels
    out = jnp.array(out)
    run = jax.value_and_grad(lambda z: LOSSES[name](z, labels).sum())
    # Beyond a float32's digits beside the others.
    infinite, large = z.at[0, out].set(-jnp.inf), z.at[0, out].set(-1e4)
    for found, limit in zip(run(infinite), run(large), strict=True):
        np.testing.assert_allclose(found, limit, rtol=1e-6)


def test_jensen_shannon_of_classes_that_are_ruled_out():
    z = RNG.normal(size=(3, 5, 4))
    z[:, 0, 1], z[1, 1, :2], z[2, 2, :3] = -np.inf, -np.inf, -np.inf
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    m = np.clip(p.mean(0), 1e-7, 1)
    ratio = np.where(p > 0, p, m) / m  # 0 log 0 = 0
    expected = (p * np.log(ratio)).sum(-1).mean(0)
    z = jnp.asarray(z, jnp.float32)
    run = jax.value_and_grad(lambda z: jensen_shannon(z).sum())
    np.testing.assert_allclose(jensen_shannon(z), expected, **CLOSE)
    np.testing.assert_allclose(run(z)[1], run(jnp.maximum(z, -1e4))[1], atol=1e-6)


def test_regression_losses_of_optax_and_scikit_learn():
    z, y = jnp.asarray(Z), jnp.asarray(RNG.normal(size=Z.shape), jnp.float32)
    expected = optax.losses.huber_loss(z, y, delta=0.7).sum(-1)
    np.testing.assert_allclose(huber(z, y, delta=0.7), expected, **CLOSE)
    mean = absolute_error(z[:, :1], y[:, 0]).mean()
    np.testing.assert_allclose(mean, metrics.mean_absolute_error(y[:, 0], z[:, 0]), **CLOSE)
    assert float(jax.grad(lambda z: absolute_error(z, y[:1]).sum())(y[:1])[0, 0]) == 0
    counts = RNG.poisson(3.0, Z.shape)
    # scikit-learn's is the deviance, twice the distance to the likelihood of z = log y.
    best = poisson_nll(jnp.log(counts + 1e-30), jnp.asarray(counts, jnp.float32))
    found = 2 * (poisson_nll(z, jnp.asarray(counts, jnp.float32)) - best).mean()
    expected = metrics.mean_poisson_deviance(counts.ravel(), np.exp(np.float64(Z)).ravel())
    np.testing.assert_allclose(found, expected * Z.shape[1], rtol=1e-5)


def test_losses_of_labels_of_optax():
    z, y = jnp.asarray(Z), jnp.asarray(RNG.integers(0, 2, Z.shape))
    of_optax = optax.losses.sigmoid_binary_cross_entropy
    np.testing.assert_allclose(binary_cross_entropy(z, y), of_optax(z, y).mean(-1), **CLOSE)
    np.testing.assert_allclose(binary_cross_entropy(z, y), logistic(z, y) / 4, **CLOSE)
    smooth = of_optax(z, 0.8 * y + 0.1).mean(-1)
    np.testing.assert_allclose(binary_cross_entropy(z, y, label_smoothing=0.2), smooth, **CLOSE)
    heavy = (jnp.where(y, 3.0, 1.0) * of_optax(z, y)).mean(-1)
    np.testing.assert_allclose(binary_cross_entropy(z, y, positive_weight=3.0), heavy, **CLOSE)
    for alpha, gamma in ((0.25, 2.0), (None, 1.5), (0.7, 0.0)):
        expected = optax.losses.sigmoid_focal_loss(z, y, alpha=alpha, gamma=gamma).sum(-1)
        np.testing.assert_allclose(focal(z, y, alpha=alpha, gamma=gamma), expected, **CLOSE)


@pytest.mark.parametrize("name", LOSSES)
def test_a_sampler_draws_from_what_its_loss_is_of(name):
    """At the truth's own outputs the expected slope is 0, and its outer product the curvature."""
    sampler = declared(LOSSES[name]).sampler
    if sampler is None:
        return
    z = jnp.array([[0.3, -0.5, 1.0]])
    many = jnp.broadcast_to(z, (40_000, 3))
    drawn = sampler(jax.random.key(0), many)
    slope = jax.grad(lambda z: LOSSES[name](z, drawn).sum())(many)
    curvature = jax.hessian(lambda z: LOSSES[name](jnp.broadcast_to(z, many.shape), drawn).mean())
    # Of 40,000 draws: 5 standard errors of terms of variance below 8.
    np.testing.assert_allclose(slope.mean(0), 0, atol=5 * np.sqrt(8 / 40_000))
    np.testing.assert_allclose(slope.T @ slope / len(many), curvature(z[0]), atol=0.2)


def test_accuracy_of_one_score():
    scores = jnp.array([0.3, -0.2, 2.0, -1.0])
    for labels in (jnp.array([1, 1, 0, 0]), jnp.array([1.0, 1.0, -1.0, -1.0])):
        for outputs in (scores, scores[:, None]):
            np.testing.assert_array_equal(accuracy(outputs, labels), [1, 0, 0, 1])


@pytest.mark.parametrize("name", [n for n in LOSSES if n != "softmax_cross_entropy"])
@pytest.mark.parametrize("labels", [jnp.zeros(9), jnp.zeros((9, 3)), jnp.zeros(8, int)])
def test_labels_that_do_not_fit(name, labels):
    with pytest.raises(InputError, match=rf"{name}: labels \({labels.shape[0]},.* do not fit"):
        LOSSES[name](jnp.asarray(Z), labels)


def test_arguments_out_of_range():
    with pytest.raises(InputError, match="margin must be > 0, got 0"):
        hinge(jnp.asarray(Z), jnp.asarray(Y), margin=0)
    with pytest.raises(InputError, match="multiclass must be 'crammer_singer' or"):
        hinge(jnp.asarray(Z), jnp.asarray(Y), multiclass="one")
